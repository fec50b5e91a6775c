"""Who may connect, how often, how many at once, and for how long.

Called at every door before it opens, and every few seconds while it stands open. What may be seen is decided by the
project's permission classes (``permissions``). What all HTTP doors have in common is here, too (``views``, ``bodies``);
nothing knows of a socket beyond its scope.
"""
