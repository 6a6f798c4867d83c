CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer (id),
                       item TEXT NOT NULL, price INTEGER NOT NULL);
INSERT INTO customer VALUES (1, 'Ada', 'Oslo'), (2, 'Ben', 'Turin'), (3, 'Cleo', 'Oslo'), (4, 'Dan', 'Porto');
INSERT INTO purchase VALUES (1, 1, 'lamp', 40), (2, 1, 'desk', 210), (3, 2, 'lamp', 40), (4, 3, 'chair', 75),
                            (5, 3, 'chair', 75), (6, 3, 'shelf', 90), (7, 4, 'desk', 210);
