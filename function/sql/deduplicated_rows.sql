-- What the de-duplicating view shows of the events published in some days, at the price of reading these days alone.
--
-- It reads a day more on either side, to see an event's other rows. So it agrees with the view about every event
-- whose rows were published within a day of each other: redelivered and redriven events always (they keep the time
-- of their first publication), and those that their publisher sent again within a day. Two queries whose times meet
-- show no event twice.
SELECT *
FROM `{table}`
WHERE `{publish_time}` >= TIMESTAMP_SUB(@since, INTERVAL 1 DAY)
  AND `{publish_time}` < TIMESTAMP_ADD(@until, INTERVAL 1 DAY)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY `{event}`
  ORDER BY `{order}`
) = 1
  AND `{publish_time}` >= @since
  AND `{publish_time}` < @until
