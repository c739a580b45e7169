# ---
# jupyter:
#   course:
#     title: Backpropagation from Scratch
#     level: advanced
#     minutes: 90
#     hardware: cpu
#     builds: "Reverse-mode automatic differentiation over NumPy arrays: a graph, the way back through it, and the rules with which it trains a network and an attention layer."
#     goals:
#     - Derive the backward rules of broadcast addition, batched products, softmax and table lookups
#     - Walk a graph backwards so that every rule runs once, at any depth, with all gradients added up
#     - Train a network and an attention layer on your own engine, with PyTorch's losses at every step
#     - Find wrong gradients that training hides, by holding rules against finite differences
#     needs:
#     - "[Scaled Dot-Product Attention](../../../book/ch01_attention/scaled_dot_product.md), the section on the gradient through a softmax"
#     - Lab 0.1, NumPy to PyTorch
#     - The chain rule, and derivatives of matrix products
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from autograder import check, earlier
from source.autodiff import operations as ops
from source.autodiff import rules, tape
from source.autodiff.numeric import numeric_gradient
from source.autodiff.tape import Node
from source.autodiff.training import Adam, lookups, spirals
from source.plots import BLUE, GREEN, ORANGE, RED, heatmap
from source.timing import seconds

# %% [markdown]
# ## A question first
#
# A network has `n` weights and one loss. You want to know, for each weight, how the loss moves when it moves. The
# obvious way: nudge one weight, run the network, put it back, go on to the next. That is `n` runs or more. PyTorch's
# `loss.backward()` gives all `n` answers too. How many runs does *it* cost? Measure both, for networks of growing width.

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
rng = np.random.default_rng(0)
inputs = rng.standard_normal((32, 8))
counts, nudged, reverse, forward = [], [], [], []
for width in (4, 8, 16, 32, 64, 128):
    weights = rng.standard_normal((8, width)) * 0.3
    leaf, x = torch.tensor(weights, requires_grad=True), torch.tensor(inputs)
    counts.append(weights.size)
    run = lambda w: np.tanh(inputs @ w).sum()
    nudged.append(seconds(lambda: numeric_gradient(run, weights, 1.0), repeats=3, warm_up=1))
    forward.append(seconds(lambda: torch.tanh(x @ leaf).sum()))
    reverse.append(seconds(lambda: torch.autograd.grad(torch.tanh(x @ leaf).sum(), leaf)))

fig, ax = plt.subplots(figsize=(8.5, 3.2), layout="constrained")
ax.plot(counts, np.array(nudged) * 1e3, "s-", color=RED, label="nudging every weight, up and down")
ax.plot(counts, np.array(reverse) * 1e3, "o-", color=BLUE, label="one run and one backward pass")
ax.plot(counts, np.array(forward) * 1e3, "^:", color=GREEN, label="one run alone")
ax.set(xlabel="weights n", ylabel="time for the gradient (ms)", xscale="log", yscale="log")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
print(f"{counts[-1]} weights: nudging takes as long as {nudged[-1] / forward[-1]:,.0f} runs, "
      f"a run with its backward pass as long as {reverse[-1] / forward[-1]:.1f}")

# %% [markdown]
# **How do the two upper lines differ in slope?** The price of nudging grows with `n`. The backward pass costs a small
# multiple of one run, however many weights there are [@baydin2018]. At a hundred million weights that is the difference
# between training and not training. In this lab you build what makes it possible. It is about forty lines.
#
# Letters: `B` batch, `T` queries, `S` keys, `C` width, `V` classes, or rows of a table.

# %% [markdown]
# ## Step 1. The graph, and a rule for addition
#
# The trick is to *remember*. Every operation leaves behind a node: its result, what it was made from, and a rule for
# sending a gradient back. The whole data structure is one small class, imported above:
#
# | `Node` has | what it is |
# |---|---|
# | `value` | the array |
# | `parents` | the nodes that it was made from; a leaf (a weight, an input) has none |
# | `rule` | a function: gradient of the loss with respect to *this* node in, one gradient for each parent out; a leaf's is `None` |
#
# A rule knows nothing of the loss or of the rest of the network. It is the chain rule for one operation. Take
# $z = a \cdot b$ entry by entry, with $g = \partial \mathcal L / \partial z$ arriving from above. Then
# $\partial \mathcal L / \partial a = g \cdot b$ and $\partial \mathcal L / \partial b = g \cdot a$. For $z = a + b$ it
# is even simpler: both get $g$.

# %% tags=["look"]
def times(a, b):
    """An operation: the value, what it was made from, and its rule."""
    return Node(a.value * b.value, (a, b), lambda g: (g * b.value, g * a.value), "times")


a, b = Node([2.0, 3.0], name="a"), Node([10.0, 100.0], name="b")
z = times(a, b)
print(z, "was made from", z.parents)
print("its value is", z.value, "and its rule sends back", z.rule(np.ones(2)))

# %% [markdown]
# One thing spoils the simplicity: broadcasting. A bias `(C,)` is added to `(B, T, C)`, so each of its entries is used
# `B * T` times, and $g$ has shape `(B, T, C)`. The gradient of the bias must have the bias's shape. When one number is
# used many times, every use moves the loss, and the moves add up:
#
# $$\frac{\partial \mathcal L}{\partial b_c} = \sum_{b, t} g_{btc}$$
#
# So the way back through a broadcast is a sum, over exactly the axes that were added in front or stretched from size 1.
# In shapes: `(B, T, C)` → `(C,)`, `(B, T, C)` → `(T, 1)`, `(B, T, C)` → `()`.

# %% nbgrader={"grade_id": "unbroadcast", "solution": true}
def unbroadcast(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum a gradient over the axes that broadcasting from `shape` has added or stretched.

    g: the gradient of a broadcast result. shape: that of the array before, which broadcasts to g's shape.
    Returns an array of that shape, with g's dtype. g stays as it is.

    >>> g = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    >>> unbroadcast(g, (3,))                                # was added to both rows
    array([11., 22., 33.])
    >>> unbroadcast(g, (2, 1))                              # was stretched along each row
    array([[ 6.],
           [60.]])
    """
    ### BEGIN SOLUTION
    added = g.ndim - len(shape)
    stretched = [added + axis for axis, size in enumerate(shape) if size == 1]
    return g.sum(axis=(*range(added), *stretched)).reshape(shape)  # reshape brings the axes of size 1 back
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_unbroadcast", "grade": true}
check("ch04/lab05/unbroadcast", unbroadcast)

# %% [markdown]
# **Look at it.** Pairs of shapes, the first broadcast to the second. Yours against autograd with a random gradient, and
# what arrives when $g$ is all ones.

# %% tags=["given"]
fitted = earlier("ch04/lab05/unbroadcast", unbroadcast, rules.unbroadcast)

# %% tags=["look"]
print(f"{'from':<12}{'to':<12}{'difference to autograd':<26}each entry, if g is all ones")
for small, large in (((5,), (2, 3, 5)), ((3, 1), (2, 3, 5)), ((2, 1, 1), (2, 3, 5)), ((), (2, 3, 5)), ((2, 3, 5), (2, 3, 5))):
    g = rng.standard_normal(large)
    leaf = torch.zeros(small, dtype=torch.float64, requires_grad=True)
    (leaf + torch.zeros(large, dtype=torch.float64)).backward(torch.tensor(g))
    difference = np.abs(fitted(g, small) - leaf.grad.numpy()).max()
    print(f"{small!s:<12}{large!s:<12}{difference:<26.1e}{fitted(np.ones(large), small).flat[0]:.0f}")

# %% [markdown]
# **What does the last column count?** The uses of one entry. Keep it in mind when a bias's gradient is much larger than
# those of the weights beside it.

# %% [markdown]
# ## Step 2. In which order?
#
# A network's graph is not a chain. In a residual block, `x` goes into the sublayer *and* around it. Its gradient is only
# complete when both have reported:
#
# ```
#   forward    x ──► f ──► (+) ──► loss        back    x ◄── f ◄── (+) ◄── loss
#              └────────────▲                          ▲─────────────┘
# ```
#
# Walk back from the loss and hand on each gradient as it arrives, and what lies behind `x` runs twice, once for each
# road. With `n` residual blocks in a row there are $2^n$ roads. The cure: visit the nodes in an order in which **every
# node comes before its parents**. Then, when a node's turn comes, all that use it have been there, its gradient is
# complete, and its rule runs once. This is a *topological order*. Every graph without cycles has at least one.
#
# Two demands, both from practice. Look at each node's parents a few times at most, not once for each road. And do not
# recurse: Python gives up a thousand calls deep, and a loop over a long text makes longer chains than that.

# %% nbgrader={"grade_id": "topological_order", "solution": true}
def topological_order(root: Node) -> list[Node]:
    """The root and every node that it depends on, each once, every node before its parents.

    There may be several right orders: any of them will do. A node may stand twice among the parents of another.

    >>> a = Node(1.0, name="a")
    >>> b = Node(2.0, (a,), name="b")
    >>> c = Node(3.0, (a, b), name="c")                     # uses a directly, and once more through b
    >>> [node.name for node in topological_order(c)]
    ['c', 'b', 'a']
    """
    ### BEGIN SOLUTION
    uses, found = {root: 0}, [root]
    for node in found:  # grows while we walk: every node, and how many uses it has
        for parent in node.parents:
            if parent not in uses:
                uses[parent] = 0
                found.append(parent)
            uses[parent] += 1
    order = [root]
    for node in order:  # grows too: a parent follows when the last of its uses is in the list
        for parent in node.parents:
            uses[parent] -= 1
            if uses[parent] == 0:
                order.append(parent)
    return order
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_topological_order", "grade": true}
check("ch04/lab05/topological_order", topological_order)

# %% [markdown]
# **Look at it.** `n` residual blocks, $x \leftarrow x + \tanh(x)$. How many rules run on the way back: one for each node
# in your order, against one for each road?

# %% tags=["given"]
ordered = earlier("ch04/lab05/topological_order", topological_order, tape.topological_order)

# %% tags=["look"]
def residuals(n):
    x = Node(0.1)
    for _ in range(n):
        x = ops.add(x, ops.tanh(x))
    return x


def runs_by_road(root):
    """How many rules run if every gradient is handed on as it arrives: the course's naive engine, counted."""
    calls = []

    def counted(rule):
        return lambda g: (calls.append(1), rule(g))[1]

    for node in ordered(root):
        node.rule = node.rule and counted(node.rule)
    tape.backward_naive(root)
    return len(calls)


depths = range(1, 15)
roads = [runs_by_road(residuals(n)) for n in depths]
nodes = [sum(node.rule is not None for node in ordered(residuals(n))) for n in depths]
fig, ax = plt.subplots(figsize=(6.5, 3.2))
ax.plot(depths, roads, "s-", color=RED, label="one for each road")
ax.plot(depths, nodes, "o-", color=BLUE, label="in your order")
ax.set(xlabel="residual blocks n", ylabel="rules run on the way back", yscale="log")
ax.legend()
plt.show()
print(f"at 14 blocks: {roads[-1]:,} against {nodes[-1]}")

# %% [markdown]
# **By what factor does each line grow when one block is added?** The smallest GPT-2 has 12 blocks with two residual
# connections each: $2^{24}$ roads. Both ways give the same gradient. Only one of them ends before you lose patience.

# %% [markdown]
# ## Step 3. The way back
#
# Now the engine itself. Start with the gradient of the root. Go through the nodes in order; give each node's rule the
# gradient that has been collected for it; hand the parts to its parents.
#
# $$\frac{\partial \mathcal L}{\partial x} = \sum_{u \text{ uses } x}
# \frac{\partial \mathcal L}{\partial u}\, \frac{\partial u}{\partial x}$$
#
# The sum is where engines go wrong. A value that is used twice gets a part from each use, and the parts *add*. Write
# one over the other, and only the last survives. The same node may even stand twice among one node's parents:
# $x \cdot x$.
#
# There is a second trap. The rule of addition returns the *same array* for both parents. If you add to it in place
# (`+=`), you change the other parent's gradient too. Make a new array.

# %% nbgrader={"grade_id": "backward", "solution": true}
def backward(root: Node, upstream: np.ndarray | None = None) -> dict[Node, np.ndarray]:
    """The gradient of every node that the root depends on, the root's own included.

    upstream: the gradient of the root, of its value's shape; None = ones.
    Each node's rule runs exactly once; a node without a rule (rule is None) is a leaf.

    >>> x = Node(3.0)
    >>> square = Node(9.0, (x, x), lambda g: (g * 3.0, g * 3.0))            # x * x
    >>> float(backward(square)[x])                                          # 2 x
    6.0
    """
    ### BEGIN SOLUTION
    gradients = {root: np.ones_like(root.value) if upstream is None else upstream}
    for node in ordered(root):
        if node.rule is None:
            continue
        parts = node.rule(gradients[node])  # complete: all that use the node came before it
        for parent, part in zip(node.parents, parts):
            gradients[parent] = gradients[parent] + part if parent in gradients else part
    return gradients
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_backward", "grade": true}
check("ch04/lab05/backward", backward)

# %% [markdown]
# **Look at it.** A stream of 30 residual updates, $x_{l+1} = x_l + \tanh(w_l\, x_l)$. Your gradient at every depth. And,
# worked out without a graph, what is left at each depth if only *one* of the two roads through each update counts.

# %% tags=["given"]
way_back = earlier("ch04/lab05/backward", backward, tape.backward)

# %% tags=["look"]
DEPTH = 30
scales = 0.6 * np.random.default_rng(4).standard_normal(DEPTH)
stream = [Node(0.5)]
for w in scales:
    stream.append(ops.add(stream[-1], ops.tanh(ops.multiply(w, stream[-1]))))
found = way_back(stream[-1])
slopes = [w * (1 - np.tanh(w * x.value) ** 2) for w, x in zip(scales, stream)]  # of the sublayers alone
depth = np.arange(DEPTH + 1)
fig, ax = plt.subplots(figsize=(8.5, 3.2), layout="constrained")
ax.plot(depth, [abs(found[x]) for x in stream], "o-", color=BLUE, markersize=4, label="yours: both roads")
ax.plot(depth, np.ones(DEPTH + 1), ":", color=ORANGE, lw=2, label="along the copies alone")
ax.plot(depth, [abs(np.prod(slopes[l:])) for l in depth], "s--", color=RED, markersize=4, label="through the sublayers alone")
ax.set(xlabel="depth l", ylabel="|gradient at x_l|", yscale="log")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
whole = np.prod([1 + s for s in slopes])
print(f"at x_0: yours {found[stream[0]]:.6f}, the product of all (1 + slope) {whole:.6f}, along the copies alone 1")

# %% [markdown]
# **Which of the two single roads would hide its mistake better?** An engine that overwrites keeps whichever part comes
# last. If that is the copy, the gradient looks healthy at every depth, and it is wrong at every depth but the last.

# %% [markdown]
# ## Step 4. Three rules for a transformer
#
# The engine is done; it knows no operation yet. Three rules carry most of a transformer. Each is a function of arrays
# alone.
#
# **A product.** For $Z = A B$, ask where $A_{tc}$ goes: into every $Z_{tv}$, multiplied by $B_{cv}$. So its gradient is
# $\sum_v g_{tv} B_{cv}$, a product again, and in the same way for $B$:
#
# $$\partial A = g\, B^\top \qquad \partial B = A^\top g$$
#
# In shapes: `(..., T, V) @ (..., V, C)` → `(..., T, C)` and `(..., C, T) @ (..., T, V)` → `(..., C, V)`. Only one
# arrangement fits. The dimensions in front may have been broadcast (one weight matrix for the whole batch), and then
# `fitted`, your step 1, has to follow. Mind that `.T` turns *all* axes of an array around; you want the last two.
#
# **Softmax.** From Chapter 1: $\partial x_i = p_i\,\bigl(g_i - \sum_j g_j p_j\bigr)$, for every row of the last axis.
#
# **Rows of a table.** `table[ids]` is how embeddings are read. The gradient of the table is zero in rows that were not
# read, and the *sum* over all reads in rows that were. NumPy's `out[ids] += g` does not add up where an id repeats;
# `np.add.at` does.

# %% nbgrader={"grade_id": "operation_rules", "solution": true}
def matmul_rule(g: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For a @ b. a: (..., T, C). b: (..., C, V). g: (..., T, V). Returns the gradients of a and b, in their shapes.

    >>> of_a, of_b = matmul_rule(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[5.0], [7.0]]))
    >>> of_a, of_b.T                                        # 2 * 5 + 3 * 7: each factor gets the other
    (array([[5., 7.]]), array([[2., 3.]]))
    """
    ### BEGIN SOLUTION
    of_a = g @ b.swapaxes(-1, -2)  # (..., T, V) @ (..., V, C) -> (..., T, C)
    of_b = a.swapaxes(-1, -2) @ g  # (..., C, T) @ (..., T, V) -> (..., C, V)
    return fitted(of_a, a.shape), fitted(of_b, b.shape)
    ### END SOLUTION


def softmax_rule(g: np.ndarray, p: np.ndarray) -> np.ndarray:
    """For p = softmax(x) over the last axis. g, p: (..., S). Returns the gradient of x, (..., S).

    >>> softmax_rule(np.array([4.0, 0.0]), np.array([0.25, 0.75]))          # the average of g is 1
    array([ 0.75, -0.75])
    """
    ### BEGIN SOLUTION
    average = (g * p).sum(axis=-1, keepdims=True)  # (..., 1)
    return p * (g - average)
    ### END SOLUTION


def take_rule(g: np.ndarray, table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """For table[ids]. table: (V, C). ids: integers, any shape (...). g: (..., C). Returns the table's gradient (V, C).

    >>> take_rule(np.array([[1.0], [2.0], [4.0]]), np.zeros((3, 1)), np.array([0, 2, 0])).T     # row 0 was read twice
    array([[5., 0., 2.]])
    """
    ### BEGIN SOLUTION
    out = np.zeros_like(table)
    np.add.at(out, ids, g)
    return out
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_operation_rules", "grade": true}
check("ch04/lab05/operation_rules", (matmul_rule, softmax_rule, take_rule))

# %% [markdown]
# **Look at it.** Your engine trains. A network with two hidden layers learns which of three spirals a point lies on. The
# function `network` below is the whole model, and it runs on two engines: yours, and PyTorch with its autograd. Both
# start from the same weights and take the same steps of Adam, in float64.

# %% tags=["look"]
product, soften, read = earlier(
    "ch04/lab05/operation_rules",
    (matmul_rule, softmax_rule, take_rule),
    (rules.matmul_rule, rules.softmax_rule, rules.take_rule),
)


def my_softmax(x):
    p = ops.softmax(x.value).value
    return Node(p, (x,), lambda g: (soften(g, p),), "softmax")


mine = SimpleNamespace(
    add=lambda a, b: Node(a.value + b.value, (a, b), lambda g: (fitted(g, a.value.shape), fitted(g, b.value.shape)), "add"),
    matmul=lambda a, b: Node(a.value @ b.value, (a, b), lambda g: product(g, a.value, b.value), "matmul"),
    take=lambda table, ids: Node(table.value[ids], (table,), lambda g: (read(g, table.value, ids),), "take"),
    softmax=my_softmax,
    tanh=ops.tanh,
    swap=ops.swap,
    scale=ops.multiply,
    cross_entropy=ops.cross_entropy,
)
pytorch = SimpleNamespace(
    add=torch.add,
    matmul=torch.matmul,
    take=lambda table, ids: table[torch.from_numpy(ids)],
    softmax=lambda x: x.softmax(-1),
    tanh=torch.tanh,
    swap=lambda x: x.transpose(-1, -2),
    scale=torch.mul,
    cross_entropy=lambda logits, y: F.cross_entropy(logits.flatten(0, -2), torch.from_numpy(y).flatten()),
)

# %% tags=["look"]
def network(e, w, points):
    """(n, 2) -> (n, 3), on engine e with weights w."""
    h = e.tanh(e.add(e.matmul(points, w["W1"]), w["b1"]))
    h = e.tanh(e.add(e.matmul(h, w["W2"]), w["b2"]))
    return e.add(e.matmul(h, w["W3"]), w["b3"])


def trained(loss_on, weights, batches, rate):
    """Train on both engines. loss_on(engine, weights, leaf, batch) -> loss. Returns your weights and both loss curves."""
    ours = {name: w.copy() for name, w in weights.items()}
    theirs = {name: torch.tensor(w, requires_grad=True) for name, w in weights.items()}
    my_adam, adam = Adam(ours, rate), torch.optim.Adam(theirs.values(), lr=rate)
    curves = [], []
    for batch in batches:
        leaves = {name: Node(w) for name, w in ours.items()}
        loss = loss_on(mine, leaves, Node, batch)
        gradients = way_back(loss)
        my_adam.step({name: gradients[leaf] for name, leaf in leaves.items()})
        curves[0].append(float(loss.value))
        loss = loss_on(pytorch, theirs, torch.from_numpy, batch)
        adam.zero_grad()
        loss.backward()
        adam.step()
        curves[1].append(loss.item())
    return ours, np.array(curves)


def drawn(rng, **shapes):
    """Gaussian weights that keep the signal's size; vectors start at zero."""
    return {n: rng.standard_normal(s) / s[0] ** 0.5 if len(s) > 1 else np.zeros(s) for n, s in shapes.items()}


rng = np.random.default_rng(1)
points, arm = spirals(80, rng)
weights = drawn(rng, W1=(2, 32), b1=(32,), W2=(32, 32), b2=(32,), W3=(32, 3), b3=(3,))
learned, curves = trained(lambda e, w, leaf, _: e.cross_entropy(network(e, w, leaf(points)), arm), weights, range(400), 0.01)

# %% tags=["look"]
def show_training(axes, curves):
    axes[0].plot(curves[0], color=BLUE, lw=4, alpha=0.45, label="your engine")
    axes[0].plot(curves[1], ":", color=RED, lw=2, label="PyTorch")
    axes[0].set(xlabel="step", ylabel="loss (nats)", title="both losses")
    axes[0].legend()
    axes[1].plot(np.maximum(np.abs(curves[0] - curves[1]), 1e-17), color=GREEN)
    axes[1].set(xlabel="step", ylabel="difference of the losses (nats)", yscale="log", ylim=(5e-18, 1e-12), title="yours against PyTorch's")


fig, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained")
show_training(axes, curves)
grid = np.stack(np.meshgrid(np.linspace(-1.2, 1.2, 90), np.linspace(-1.2, 1.2, 90)), -1)
choice = network(mine, {n: Node(w) for n, w in learned.items()}, Node(grid.reshape(-1, 2))).value.argmax(-1).reshape(90, 90)
axes[2].contourf(grid[..., 0], grid[..., 1], choice, levels=[-0.5, 0.5, 1.5, 2.5], colors=[BLUE, ORANGE, GREEN], alpha=0.3)
for k, marker in enumerate("o^s"):
    axes[2].plot(*points[arm == k].T, marker, color=(BLUE, ORANGE, GREEN)[k], markersize=3)
axes[2].set(xlabel="$x_1$", ylabel="$x_2$", title="what it learned", aspect="equal")
plt.show()

# %% [markdown]
# **How far do the two runs drift apart?** They share nothing but the first weights. What differs is the order in which
# sums round.
#
# Now attention. The task: a dictionary of eight keys with their values, in random order, and a question, one of the
# keys. The answer is the value beside it. The places are shuffled every time, so knowing *where* to look is worth
# nothing; the layer has to compare. It is scaled dot-product attention with one query. Mind the key table: it is read
# *twice*, for the dictionary and for the question, so its gradient arrives along two roads.

# %% tags=["look"]
KEYS, VALUES, PLACES, C = 16, 8, 8, 24


def lookup(e, w, leaf, held, beside, asked):
    """Logits of the answer, (B, 1, VALUES), and the weights (B, 1, S)."""
    context = e.add(e.take(w["keys"], held), e.take(w["values"], beside))  # (B, S, C)
    q = e.matmul(e.take(w["keys"], asked), w["W_q"])  # (B, 1, C)
    k, v = e.matmul(context, w["W_k"]), e.matmul(context, w["W_v"])  # both (B, S, C)
    scores = e.scale(e.matmul(q, e.swap(k)), leaf(np.array(C**-0.5)))  # (B, 1, C) @ (B, C, S) -> (B, 1, S)
    p = e.softmax(scores)
    return e.matmul(e.matmul(p, v), w["W_read"]), p  # (B, 1, S) @ (B, S, C) @ (C, VALUES)


rng = np.random.default_rng(2)
square = (C, C)
weights = drawn(rng, keys=(KEYS, C), values=(VALUES, C), W_q=square, W_k=square, W_v=square, W_read=(C, VALUES))
batches = [lookups(64, PLACES, KEYS, VALUES, rng) for _ in range(300)]
learned, curves = trained(lambda e, w, leaf, b: e.cross_entropy(lookup(e, w, leaf, *b[:3])[0], b[3]), weights, batches, 0.01)

# %% tags=["look"]
fig, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained", width_ratios=(1, 1, 1.2))
show_training(axes, curves)
axes[0].axhline(np.log(VALUES), color="gray", linewidth=0.8, linestyle="--")
held, beside, asked, answer = lookups(500, PLACES, KEYS, VALUES, rng)
logits, p = lookup(mine, {n: Node(w) for n, w in learned.items()}, Node, held, beside, asked)
print(f"right answers to 500 new questions: {(logits.value.argmax(-1) == answer).mean():.0%}; by chance {1 / VALUES:.0%}")
heatmap(axes[2], p.value[:6, 0], [f"asks for {key}" for key in asked[:6, 0]], [str(s) for s in range(PLACES)])
for (n, s), key in np.ndenumerate(held[:6]):
    axes[2].text(s, n, key, ha="center", va="center", fontsize=9, color="white" if p.value[n, 0, s] < 0.5 else "black")
axes[2].tick_params(axis="x", rotation=0)
axes[2].set(xlabel="place in the dictionary, with its key", ylabel="", title="weights")
plt.show()

# %% [markdown]
# **Where is the weight in each row?** A layer that you differentiated yourself has learned to look things up. The loss
# starts at the dashed line, $\log 8$, the price of guessing: the weights are all alike, and the answer is a blend of eight
# values. What does your `softmax_rule` send to the score of a place whose value is better than that blend?

# %% [markdown]
# ## Step 5. Rules that train, and are wrong
#
# A colleague adds three operations with rules of their own: layer norm, GELU, and the cross-entropy loss. Everything
# runs, all shapes are right. One line in each rule is wrong. Here they are; do not mend them yet.

# %% tags=["given"]
IGNORE = -100  # a target that does not count


def suspect_layer_norm_rule(g, y, spread):
    """For y = (x - mean) / spread over the last axis. g, y: (..., C). spread: (..., 1), sqrt(variance + eps) of x."""
    return (g - g.mean(axis=-1, keepdims=True)) / spread


def suspect_gelu_rule(g, x):
    """For x / 2 * (1 + tanh(u)), with u = sqrt(2 / pi) * (x + 0.044715 x^3). g, x: one shape, any."""
    bend = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    slope = np.sqrt(2 / np.pi) * (1 + 0.044715 * x**2)
    return g * (0.5 * (1 + bend) + 0.5 * x * (1 - bend**2) * slope)


def suspect_cross_entropy_rule(g, logits, targets):
    """For the mean of -log softmax at the targets, over those that count. logits: (n, V). targets: (n,). g: ()."""
    counted = targets != IGNORE
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    hit = np.arange(logits.shape[-1]) == targets[:, None]  # (n, V), all False in a row that does not count
    return g * (p - hit) / max(1, counted.sum())


# %% [markdown]
# Train with them. The network is that of the spirals, with layer norm and GELU, and it is told the arm of three points
# in four; the other targets are `IGNORE`. The gray line has the right rules.

# %% tags=["look"]
rng = np.random.default_rng(3)
told = np.where(rng.random(len(arm)) < 0.75, arm, IGNORE)
start = drawn(rng, W1=(2, 32), b1=(32,), W2=(32, 32), W3=(32, 3))


def with_rules(norm_rule, gelu_rule, loss_rule):
    """Loss curve of 200 steps, with these three rules in the graph."""
    w = {name: array.copy() for name, array in start.items()}
    adam, losses = Adam(w, 0.01), []
    for _ in range(200):
        leaves = {name: Node(array) for name, array in w.items()}
        h = ops.add(ops.matmul(points, leaves["W1"]), leaves["b1"])
        for layer in ("W2", "W3"):
            y, spread = ops.layer_norm(h).value, np.sqrt(h.value.var(axis=-1, keepdims=True) + 1e-5)
            h = Node(y, (h,), lambda g, y=y, spread=spread: (norm_rule(g, y, spread),))
            h = Node(ops.gelu(h).value, (h,), lambda g, x=h.value: (gelu_rule(g, x),))
            h = ops.matmul(h, leaves[layer])
        loss = Node(ops.cross_entropy(h, told).value, (h,), lambda g: (loss_rule(g, h.value, told),))
        gradients = way_back(loss)
        adam.step({name: gradients[leaf] for name, leaf in leaves.items()})
        losses.append(float(loss.value))
    return losses


right = (rules.layer_norm_rule, rules.gelu_rule, rules.cross_entropy_rule)
suspects = (suspect_layer_norm_rule, suspect_gelu_rule, suspect_cross_entropy_rule)
fig, ax = plt.subplots(figsize=(8.5, 3.2), layout="constrained")
ax.plot(with_rules(*right), color="gray", lw=4, alpha=0.5, label="right rules")
for i, (name, line, colour) in enumerate((("layer norm", "-", BLUE), ("GELU", "--", ORANGE), ("cross-entropy", "-.", RED))):
    one_wrong = [*right[:i], suspects[i], *right[i + 1 :]]
    ax.plot(with_rules(*one_wrong), line, color=colour, label=f"suspect {name}")
ax.set(xlabel="step", ylabel="loss where it counts (nats)", yscale="log")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Without the gray line to hold them against, which curve would have made you suspicious?** All of them go down. A
# gradient need not be right to be useful: it only has to point roughly downhill. That is why "it trains" is no test.
#
# A test is this: nudge every input, one at a time, and compare. `numeric_gradient(f, x, g)`, given, does it: the gradient
# of `sum(g * f(x))`. For one of the suspects:
#
# ```python
# x, g = rng.standard_normal((2, 4, 6))
# numeric_gradient(lambda x: ops.gelu(x).value, x, g) - suspect_gelu_rule(g, x)
# ```
#
# Where do they differ, and by how much? For the other two, use `ops.layer_norm` and `ops.cross_entropy`, with some
# targets ignored. Then write the three rules as they should be, from the formulas in their docstrings.

# %% nbgrader={"grade_id": "repaired_rules", "solution": true}
def layer_norm_rule(g: np.ndarray, y: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """suspect_layer_norm_rule, put right. g, y: (..., C). spread: (..., 1). Returns the gradient of x, (..., C)."""
    ### BEGIN SOLUTION
    centred = g - g.mean(axis=-1, keepdims=True)
    return (centred - y * (g * y).mean(axis=-1, keepdims=True)) / spread  # the spread moves with x as well
    ### END SOLUTION


def gelu_rule(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """suspect_gelu_rule, put right. g, x: one shape, any. Returns the gradient of x."""
    ### BEGIN SOLUTION
    bend = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    slope = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)  # the derivative of x^3 is 3 x^2
    return g * (0.5 * (1 + bend) + 0.5 * x * (1 - bend**2) * slope)
    ### END SOLUTION


def cross_entropy_rule(g: np.ndarray, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """suspect_cross_entropy_rule, put right. logits: (n, V). targets: (n,). g: (). Returns the gradient of the logits."""
    ### BEGIN SOLUTION
    counted = targets != IGNORE
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    hit = np.arange(logits.shape[-1]) == targets[:, None]
    return g * (p - hit) * counted[:, None] / max(1, counted.sum())  # a row that does not count gets nothing
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_repaired_rules", "grade": true}
check("ch04/lab05/repaired_rules", (layer_norm_rule, gelu_rule, cross_entropy_rule))

# %% [markdown]
# **Look at it.** Each rule against finite differences: the largest difference, and the cosine of the angle between the
# two gradients.

# %% tags=["look"]
mended = earlier("ch04/lab05/repaired_rules", (layer_norm_rule, gelu_rule, cross_entropy_rule), right)
x, g = rng.standard_normal((2, 6, 8))
some = np.array([3, IGNORE, 0, IGNORE, IGNORE, 7])
spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
trials = {
    "layer norm": (lambda x: ops.layer_norm(x).value, g, lambda rule: rule(g, ops.layer_norm(x).value, spread)),
    "GELU": (lambda x: ops.gelu(x).value, g, lambda rule: rule(g, x)),
    "cross-entropy": (lambda x: ops.cross_entropy(x, some).value, np.array(1.0), lambda rule: rule(np.array(1.0), x, some)),
}
print(f"{'rule':<16}{'suspect: difference':<22}{'cosine':<10}{'repaired: difference':<22}cosine")
for (name, (f, upstream, run)), suspect, good in zip(trials.items(), suspects, mended):
    wanted = numeric_gradient(f, x, upstream)
    line = f"{name:<16}"
    for rule in (suspect, good):
        got = run(rule)
        cosine = (got * wanted).sum() / np.linalg.norm(got) / np.linalg.norm(wanted)
        line += f"{np.abs(got - wanted).max():<22.1e}{cosine:<10.4f}"
    print(line.rstrip())

# %% [markdown]
# **Which suspect points most nearly downhill?** It is the one that no curve would ever have shown you. A cosine near 1
# says "it will train". Only the difference says "it is right": what finite differences leave by rounding is many
# thousand times smaller than what a wrong line leaves.

# %% [markdown]
# ## What you built
#
# - An engine: a graph, an order, a way back. It differentiates whatever you give it rules for, at any depth.
# - The rules of a transformer, equal to autograd's, and a network and an attention layer that were trained with them.
# - A test for gradients. You will need it for every kernel that has a backward pass of its own.
#
# ## Going further
#
# - The papers: [@baydin2018] puts reverse mode beside its relatives; [@rumelhart1986] made it known as back-propagation;
#   [@paszke2019] describes the engine that you have used since Chapter 0.
# - Production code: in PyTorch, `torch/csrc/autograd/engine.cpp`. `Engine::compute_dependencies` counts uses, as an order
#   needs them, and `InputBuffer` adds gradients up. `tools/autograd/derivatives.yaml` is the list of rules.
# - micrograd is an engine of your size that works on single numbers. How many nodes would it make for one product of two
#   64-by-64 matrices?
# - An extension: `backward` keeps every gradient until the end. Let it drop each one that is not a leaf's as soon as its
#   rule has run. By how much does the peak memory of a network of 30 layers fall? Values can be dropped as well and
#   computed again when a rule asks for them: that is checkpointing, and lab 4.6 counts what it saves.
