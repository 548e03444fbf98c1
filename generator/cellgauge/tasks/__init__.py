"""The tasks, one module each.

A task module has one public function, named in its card::

    def prepare(output, cells, params, wanted) -> Fit-making function of a seed

``prepare`` does what does not depend on the seed (a neighbour graph, distances) once;
the function that it returns is called once per seed and gives a ``Fit``.
"""
