"""What `import leaf` offers, as `leaf/__init__.py` names it: work on models in memory."""
