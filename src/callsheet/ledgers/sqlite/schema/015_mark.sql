-- The session uuid of what the last call of a delivery wrote: it tells which events it caused (callsheet.wire.causality).
ALTER TABLE deliveries ADD COLUMN mark TEXT;
