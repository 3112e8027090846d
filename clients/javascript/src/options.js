'use strict';

/**
 * The options of a client: their names, what they may be, and what they are when nothing is said. Shared with the other clients.
 */

const { ConfigurationError } = require('./errors');

const TIME_MAX = 2_147_483_647;
const READ_PREFERENCES = ['primary', 'primaryPreferred', 'secondary', 'secondaryPreferred', 'nearest'];

const whole = (low, high) => ({ kind: 'whole', low, high });
const time = whole(0, TIME_MAX);
const oneOf = (...words) => ({ kind: 'word', words });
const flag = { kind: 'flag' };
const text = { kind: 'text' };

/** What may stand in an address. */
const addressOptions = {
  readPreference: oneOf(...READ_PREFERENCES),
  maxStalenessSeconds: time,
  localThresholdMS: time,
  timeoutMS: time,
  serverSelectionTimeoutMS: time,
  connectTimeoutMS: time,
  poolSize: whole(1, 1000),
  maxQueue: whole(1, TIME_MAX),
  retryReads: flag,
  retryWrites: flag,
  durability: oneOf('disk', 'os'),
  w: { kind: 'w' },
  wtimeoutMS: time,
  readConcern: oneOf('local', 'committed', 'linearizable'),
  compress: oneOf('lz4', 'none'),
  appName: text,
  tls: flag,
  tlsCAFile: text,
  tlsCertFile: text,
  tlsKeyFile: text,
  tlsInsecure: flag,
};

/** What only the constructor takes. */
const constructorOptions = {
  heartbeatMS: whole(10, TIME_MAX),
  readYourWrites: flag,
  discover: flag,
  bigints: oneOf('auto', 'bigint', 'number'),
  maxQueueBytes: whole(1 << 10, Number.MAX_SAFE_INTEGER),
  maxResultBytes: whole(1 << 10, Number.MAX_SAFE_INTEGER),
  tlsServerName: text,
};

const defaults = Object.freeze({
  readPreference: 'primary',
  maxStalenessSeconds: 0,
  localThresholdMS: 15,
  timeoutMS: 30_000,
  serverSelectionTimeoutMS: 5_000,
  connectTimeoutMS: 10_000,
  poolSize: 1,
  maxQueue: 10_000,
  retryReads: true,
  retryWrites: true,
  durability: undefined,
  w: 1,
  wtimeoutMS: 0,
  readConcern: 'local',
  compress: 'none',
  appName: undefined,
  tls: false,
  tlsInsecure: false,
  heartbeatMS: 10_000,
  readYourWrites: true,
  discover: true,
  bigints: 'auto',
  maxQueueBytes: 64 << 20,
  maxResultBytes: 16 << 20,
});

/** The value of an option as an address writes it; undefined where no such option is known. */
function readOption(name, value) {
  if (!Object.hasOwn(addressOptions, name)) return undefined;
  const rule = addressOptions[name];
  switch (rule.kind) {
    case 'whole':
      return check(name, /^[0-9]{1,15}$/.test(value) ? Number(value) : NaN, rule);
    case 'flag':
      return check(name, value === 'true' ? true : value === 'false' ? false : value, rule);
    case 'w':
      return check(name, /^[0-9]{1,9}$/.test(value) ? Number(value) : value, rule);
    default:
      return check(name, value, rule);
  }
}

function check(name, value, rule) {
  const fits = {
    whole: () => Number.isInteger(value) && value >= rule.low && value <= rule.high,
    flag: () => typeof value === 'boolean',
    word: () => rule.words.includes(value),
    text: () => typeof value === 'string' && value !== '',
    w: () => value === 'majority' || (Number.isInteger(value) && value >= 1),
  }[rule.kind]();
  if (!fits) throw new ConfigurationError(`The option ${name} is ${describe(rule)}`);
  return value;
}

function describe(rule) {
  switch (rule.kind) {
    case 'whole':
      return `a whole number from ${rule.low} to ${rule.high}`;
    case 'flag':
      return 'true or false';
    case 'word':
      return `one of ${rule.words.join(', ')}`;
    case 'w':
      return 'a number of nodes from 1, or majority';
    default:
      return 'text';
  }
}

/**
 * Options given to the constructor, checked; those that are undefined are as if not given. Unknown names are errors: they are
 * typed.
 */
function checkOptions(given) {
  const options = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    const rule = addressOptions[name] ?? constructorOptions[name];
    if (rule === undefined) throw new ConfigurationError(`The option ${name} is not known`);
    options[name] = check(name, value, rule);
  }
  if ((options.tlsCertFile === undefined) !== (options.tlsKeyFile === undefined)) {
    throw new ConfigurationError('tlsCertFile and tlsKeyFile belong together');
  }
  return options;
}

module.exports = { defaults, readOption, checkOptions };
