-- What a running daemon is to do, of plugins as well: to reload that one (NULL: all), of that site ('': of every one).
ALTER TABLE asked ADD COLUMN plugin TEXT;
