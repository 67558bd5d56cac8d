-- What was dead-lettered, by day, reason, stage and version; the newest day and its most frequent reason first. The
-- payload is not read.
--
-- A dead letter is one publication to the dead-letter topic, a message is what it is about: one that was redriven and
-- failed again, or whose acknowledgement was lost, has several. The reasons and what to do: function/README.md.
-- A reason that is NULL was not published by the function.
WITH publications AS (
  SELECT
    publish_time,
    JSON_VALUE(attributes, '$.dead_letter_reason') AS reason,
    JSON_VALUE(attributes, '$.dead_letter_stage') AS stage,
    JSON_VALUE(attributes, '$.dead_letter_version') AS version,
    -- The original's id, by which the logs name it; the dead letter's own where the delivery had none.
    COALESCE(NULLIF(JSON_VALUE(attributes, '$.dead_letter_message_id'), ''), message_id) AS original_id
  FROM `{dead_letters}`
  WHERE publish_time >= @since AND publish_time < @until
  -- A BigQuery subscription, too, delivers at least once.
  QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY publish_time) = 1
)
SELECT
  DATE(publish_time) AS day,
  reason,
  stage,
  version,
  COUNT(*) AS dead_letters,
  COUNT(DISTINCT original_id) AS messages,
  MIN(publish_time) AS oldest,
  MAX(publish_time) AS newest,
  ARRAY_AGG(DISTINCT original_id ORDER BY original_id LIMIT 3) AS sample_message_ids
FROM publications
GROUP BY day, reason, stage, version
ORDER BY day DESC, dead_letters DESC, reason, stage, version
