"""What `schutznetz bench` measures: figures, and beside them rivals or floors of the same run.

Nothing of the node imports this package, and it is imported only when the verb is called. Another
bench is one module here with a function ``measure(...) -> Report`` and one verb in
node/cli/verbs/bench.py that calls it (node.bench.report says how a figure is made).
"""
