"""The network in arrays: the terminals of a base station as one cohort, for populations beyond 1e5.

A cloud round's timing depends on sizes alone, so it is computed first, cell by cell in compiled code and with the same
closed forms, draws and order of events as the processes of :mod:`netsim.simulation`; the budget is laid over it; then
the method is told what happened. Both engines agree in every recorded second and joule.
"""
