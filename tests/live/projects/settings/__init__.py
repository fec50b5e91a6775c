"""What is different in each of the projects, and what its docstring says of it is told in ``docs/compatibility.md``."""
