"""The course's trained models: one script each, run as a module. Nothing is imported here: name the file you want.

python -m source.checkpoints.tokenizer                  first, once
python -m source.checkpoints.llama_shakespeare          one of the models; interrupt it and it goes on another time
"""
