"""Scenarios of a call, written as coroutines on top of :mod:`ari_app.ari`.

They know the rules (``oncall``) and the journal (``db``); they never wait for the database while somebody is on
the telephone.
"""
