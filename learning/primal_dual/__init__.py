"""Exact primal-dual maths of mean-regularised hierarchical multi-task learning.

Tasks b = 1..B, each with its own linear model w_b, minimise

    sum_b [ mean loss_b(w_b) + lambda1/2 ||w_b||^2 + lambda2/2 ||w_b - r||^2 ]

over all w_b and the shared r (Evgeniou and Pontil, "Regularized multi-task learning", KDD 2004; the same as MOCHA,
Smith et al., NeurIPS 2017, with a fixed relationship matrix). Terminals ascend the dual on their own rows
(``kernels``, ``reference_solver``), base stations add the results (``aggregation``), the cloud moves r
(``coupling``), and a duality gap proves how far every model is from the optimum (``certificate``).
"""
