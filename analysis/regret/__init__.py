"""Regret of controllers: how far they stay behind the best fixed H and K in hindsight."""
