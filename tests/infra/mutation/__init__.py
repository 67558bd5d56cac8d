"""A mutation run over the objects of a mesh: each condition removed or widened must fail a named policy test.

`mutants` lists the changes of one object, `run` sends the policy tests through the changed mesh and names survivors.
"""
