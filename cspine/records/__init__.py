"""Every query of the database, one file per noun; the only place where SQL stands."""
