-- How far behind the table is: one line for every hour in which events were published, the newest first. The
-- first line, whose hour is NULL, is of all of them together.
--
-- Lags are from publication to enrichment, in seconds, over all rows; an event that was redriven counts from its
-- first publication. written less events is what the de-duplicating view leaves out. behind_s grows while nothing is
-- published: before it raises an alert, compare it with the subscription's oldest_unacked_message_age, which also knows
-- of the events that are not written yet.
--
-- It reads three columns, of the days asked for alone.
WITH hours AS (
  SELECT
    TIMESTAMP_TRUNC(`{publish_time}`, HOUR) AS hour,
    COUNT(*) AS written,
    COUNT(DISTINCT `{event_value}`) AS events,
    MAX(`{publish_time}`) AS newest_publish_time,
    MAX(`{enriched_at}`) AS newest_enriched_at,
    -- Hundredths of the way from the least to the greatest.
    APPROX_QUANTILES(TIMESTAMP_DIFF(`{enriched_at}`, `{publish_time}`, MILLISECOND), 100) AS lag_ms
  FROM `{table}`
  WHERE `{publish_time}` >= @since AND `{publish_time}` < @until
  GROUP BY ROLLUP (hour)
)
SELECT
  hour,
  written,
  events,
  -- The first and the last hour may lie in the time asked for only in part.
  ROUND(
    SAFE_DIVIDE(
      60 * written,
      TIMESTAMP_DIFF(
        LEAST(@until, COALESCE(TIMESTAMP_ADD(hour, INTERVAL 1 HOUR), @until)),
        GREATEST(@since, COALESCE(hour, @since)),
        SECOND
      )
    ),
    1
  ) AS written_per_minute,
  lag_ms[OFFSET(50)] / 1000 AS lag_p50_s,
  lag_ms[OFFSET(90)] / 1000 AS lag_p90_s,
  lag_ms[OFFSET(99)] / 1000 AS lag_p99_s,
  lag_ms[OFFSET(100)] / 1000 AS lag_max_s,
  newest_publish_time,
  newest_enriched_at,
  TIMESTAMP_DIFF(@until, newest_publish_time, SECOND) AS behind_s
FROM hours
ORDER BY hour IS NOT NULL, hour DESC
