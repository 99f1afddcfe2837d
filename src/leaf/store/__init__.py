"""What stages made, found again by what decided it: shards, keys, the ledger, run folders."""
