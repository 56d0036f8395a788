"""Moving an install of shotgunEvents over: what it left on disk, read and imported once."""
