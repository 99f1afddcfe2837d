"""The one way through: the stages in their order, and all that wires them."""
