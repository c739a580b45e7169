"""The Kaggle button opens the notebook that is in view, from the course's repository."""

from autograder.facts import repository
from book._ext.kaggle import kaggle_url


def test_kaggle_opens_the_notebook_on_github():
    url, branch = repository()
    page = "notebooks/student/ch01_attention/lab01_dot_product_attention"
    assert kaggle_url(page) == f"https://kaggle.com/kernels/welcome?src={url}/blob/{branch}/{page}.ipynb"
    assert url.startswith("https://github.com/")
