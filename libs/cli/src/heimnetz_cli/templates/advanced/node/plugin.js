// Announces when frost is on its way, and when it is over.

const EVENT = 'weather.frost.changed.v1';
const HOURS = 24;
const MAX_ANSWER_BYTES = 256 * 1024;
const TIMEOUT_MS = 10_000;

/**
 * @param {import('heimnetz-sdk').Input} _input
 * @param {import('heimnetz-sdk').Context} context
 */
export async function run(_input, context) {
  const { latitude, longitude, limit } = context.config;
  const lowest = Math.min(...(await forecast(latitude, longitude)));
  const isFrost = lowest <= limit;
  const wasFrost = String(await context.storage.get('frost')) === 'yes';
  const isAnnounced = isFrost !== wasFrost;
  if (isAnnounced) {
    // In this order: when the second fails, the next run announces again, and nothing is lost.
    await context.publish(EVENT, { is_frost: isFrost, lowest_celsius: lowest });
    await context.storage.put('frost', isFrost ? 'yes' : 'no');
  }
  context.log(`${lowest.toFixed(1)} °C is the lowest of the next ${HOURS} hours`);
  return { is_frost: isFrost, lowest_celsius: lowest, is_announced: isAnnounced };
}

/** The temperatures of the next hours. Throws where nobody answers, or in another form. */
async function forecast(latitude, longitude) {
  const query = new URLSearchParams({
    latitude,
    longitude,
    hourly: 'temperature_2m',
    forecast_hours: HOURS,
  });
  const answer = await fetch(`https://api.open-meteo.com/v1/forecast?${query}`, {
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!answer.ok) throw new Error(`the forecast answers ${answer.status}`);
  return temperatures(JSON.parse(await read(answer)));
}

async function read(answer) {
  const parts = [];
  let size = 0;
  for await (const part of answer.body ?? []) {
    size += part.length;
    if (size > MAX_ANSWER_BYTES) throw new Error('the forecast is far too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function temperatures(document) {
  const found = document?.hourly?.temperature_2m;
  const values = Array.isArray(found) ? found.slice(0, HOURS).filter(isTemperature) : [];
  if (values.length === 0) throw new Error('the forecast has no temperatures');
  return values;
}

const isTemperature = (value) => Number.isFinite(value) && value > -100 && value < 100;
