-- Only a start asks for the messages of a queue, and it can read them all: each message
-- had to be put into the index, and removed from it.
DROP INDEX messages_of_queue;
