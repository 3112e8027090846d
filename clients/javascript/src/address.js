'use strict';

/**
 * Addresses: `nexadb://[user[:password]@]host[:port][,host[:port]...][/database][?option=value[&...]]`, `nexadbs://` for TLS.
 *
 * A parser of its own, because `URL` takes no list of hosts. The rules and their cases are shared with the other clients
 * (clients/conformance). An error says which part is wrong and never shows a password.
 */

const net = require('node:net');
const { ConfigurationError } = require('./errors');
const { DEFAULT_PORT } = require('./wire/protocol');
const { readOption } = require('./options');
const { NAME } = require('./names');

const INSECURE = 'tlsInsecure: certificates are not verified';
const HOST_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?$/;

/**
 * @param {string} text
 * @returns {{hosts: {host: string, port: number}[], username: string | null, password: string | null, database: string | null,
 *   tls: boolean, options: Record<string, unknown>, warnings: string[]}}
 */
function parseAddress(text) {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text);
  const name = scheme?.[1].toLowerCase();
  if (name !== 'nexadb' && name !== 'nexadbs') throw new ConfigurationError('The scheme of an address is nexadb:// or nexadbs://');
  let rest = text.slice(scheme[0].length);
  if (rest.includes('#')) throw new ConfigurationError('A # in an address has to be written as %23');

  let query = '';
  const question = rest.indexOf('?');
  if (question >= 0) [rest, query] = [rest.slice(0, question), rest.slice(question + 1)];
  let path = '';
  const slash = rest.indexOf('/');
  if (slash >= 0) [rest, path] = [rest.slice(0, slash), rest.slice(slash + 1)];

  const at = rest.lastIndexOf('@');
  const { username, password } = at < 0 ? { username: null, password: null } : readUser(rest.slice(0, at));
  const hosts = readHosts(rest.slice(at + 1));
  const database = path === '' ? null : unescape(path, 'database');
  if (database !== null && !NAME.test(database)) throw new ConfigurationError('The database of the address is not a name');

  const warnings = [];
  const options = readOptions(query, warnings);
  if (name === 'nexadbs' && options.tls === false) throw new ConfigurationError('nexadbs:// and tls=false contradict each other');
  return { hosts, username, password, database, tls: name === 'nexadbs' || options.tls === true, options, warnings };
}

function readUser(text) {
  if (text.includes('@')) throw new ConfigurationError('An @ in the user or password has to be written as %40');
  const colon = text.indexOf(':');
  const user = colon < 0 ? text : text.slice(0, colon);
  const password = colon < 0 ? null : text.slice(colon + 1);
  if (user === '') throw new ConfigurationError('The address has an @ and names no user');
  if (password?.includes(':')) throw new ConfigurationError('A colon in the password has to be written as %3A');
  return { username: unescape(user, 'user'), password: password === null ? null : unescape(password, 'password') };
}

function readHosts(text) {
  const hosts = text.split(',').map((host, index) => readHost(host, `Host ${index + 1} of the address`));
  const seen = new Set();
  return hosts.filter(({ host, port }) => {
    const key = `${host} ${port}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** One `host[:port]`. The text itself is not shown: behind a bad escape it may be a part of a password. */
function readHost(text, what = 'The host') {
  const bracketed = /^\[([^\]]*)\](.*)$/s.exec(text);
  const colon = text.indexOf(':');
  const host = bracketed ? bracketed[1] : colon < 0 ? text : text.slice(0, colon);
  const port = bracketed ? bracketed[2] : colon < 0 ? '' : text.slice(colon);
  const isFine = bracketed ? net.isIPv6(host) && (port === '' || port.startsWith(':')) : HOST_NAME.test(host);
  if (!isFine) throw new ConfigurationError(`${what} is neither a name nor an address (IPv6 stands in brackets)`);
  return { host: host.toLowerCase(), port: port === '' ? DEFAULT_PORT : readPort(port.slice(1), what) };
}

function readPort(text, what) {
  const port = /^[0-9]+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new ConfigurationError(`${what} has a port that is no number from 1 to 65535`);
  return port;
}

function readOptions(query, warnings) {
  const options = {};
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = unescape(equals < 0 ? pair : pair.slice(0, equals), 'name of an option');
    if (name === '') throw new ConfigurationError('An option of the address has no name');
    const value = equals < 0 ? '' : unescape(pair.slice(equals + 1), name);
    if (value === '') throw new ConfigurationError(`The option ${printable(name)} has no value`);
    if (Object.hasOwn(options, name)) throw new ConfigurationError(`The option ${printable(name)} stands twice`);
    const read = readOption(name, value);
    if (read === undefined) warnings.push(`The option ${printable(name)} is not known`);
    else options[name] = read;
  }
  if ((options.tlsCertFile === undefined) !== (options.tlsKeyFile === undefined)) {
    throw new ConfigurationError('tlsCertFile and tlsKeyFile belong together');
  }
  if (options.tlsInsecure) warnings.push(INSECURE);
  return options;
}

function unescape(text, what) {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw new ConfigurationError(`A bad escape in the ${what} of the address`);
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigurationError(`The ${what} of the address is not UTF-8`);
  }
}

function printable(text) {
  return text.slice(0, 100).replace(/[^\x20-\x7e]/g, '?');
}

/** `host:port` as the protocol writes it, brackets around IPv6. */
function formatHost({ host, port }) {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

module.exports = { parseAddress, readHost, formatHost, INSECURE };
