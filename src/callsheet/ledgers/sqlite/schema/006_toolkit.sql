-- What is known of the Toolkit of a session, as JSON.
ALTER TABLE workers ADD COLUMN toolkit TEXT;

-- What a running daemon is to do with sessions, until it has taken note.
CREATE TABLE asked (
    id      INTEGER PRIMARY KEY,        -- of its operation
    verb    TEXT NOT NULL,              -- warm, retire
    site    TEXT NOT NULL,
    project TEXT NOT NULL               -- as JSON: its id, or its name
);
