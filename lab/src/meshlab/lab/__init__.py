"""The whole system on one machine: the mesh of the project, the fakes of Google's services and the function."""
