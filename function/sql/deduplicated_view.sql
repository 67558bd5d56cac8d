CREATE OR REPLACE VIEW `{view}`
OPTIONS (description = 'Exactly one row an event: the one that was written first.')
AS
-- The row that was enriched first stays: a reader who has seen it will see it always, whatever comes later. The order
-- begins with the time at which the row was built. The rest makes two readers choose the same row where two instances
-- wrote in the same microsecond.
--
-- Every query reads the whole table, in the columns that it names and those below. A filter on the publish time cannot
-- go past the window function, for it would change the answer: of an event that its publisher sent on two days, each
-- day would then show its own row. Where that costs too much, see deduplicated_rows.sql.
SELECT *
FROM `{table}`
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY `{event}`
  ORDER BY `{order}`
) = 1
