"""What people type: one file a command; `leaf.cli.main` names each and imports it when asked."""
