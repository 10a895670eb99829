"""The typed JSON form of values: every type comes back exactly, and reading runs nothing.

A value is walked once (``walk``); each family of types has a module with its tags (``plain``,
``classes``, ``arrays``, ``frames``). Large data goes to sidecar files through a ``Sink``.
"""
