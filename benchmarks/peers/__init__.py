"""Competitors: the same equations of each model in plain Python, solved with `scipy.optimize.root`.

`benchmarks/peers/<model>.py` has `solve(params, policy) -> dict` of outcomes by the names of the model, with `solved`.
They share no code with jaxecon and serve as its independent check, too.
"""
