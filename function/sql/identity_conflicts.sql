-- Ids that belong to events of different content: one line for each, the newest first. A redelivered event has the same
-- content each time, and is none.
--
-- One process finds a conflict where both events come to it within its memory, and dead-letters the second. Two
-- processes that take the events at one time write both, and only the table shows it. The de-duplicating view shows
-- one of them.
SELECT
  `{event_value}` AS event_id,
  COUNT(*) AS written,
  COUNT(DISTINCT `{content}`) AS contents,
  MIN(`{publish_time}`) AS oldest,
  MAX(`{publish_time}`) AS newest
FROM `{table}`
WHERE `{publish_time}` >= @since AND `{publish_time}` < @until
GROUP BY event_id
HAVING contents > 1
ORDER BY newest DESC, event_id
