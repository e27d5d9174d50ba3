// Finds devices at home that ask for a password without encryption, or tell too much of themselves.
//
// It opens the start page of each device and nothing more: no password is tried, no form is sent.

import net from 'node:net';

const TIMEOUT_MS = 5000;
const MAX_PAGE_BYTES = 64 * 1024;
const SEVERITIES = ['info', 'low', 'medium', 'high', 'critical'];
const PASSWORD_FIELD = /<input[^>]{0,300}\btype\s{0,20}=\s{0,20}["']?password\b/i;

/**
 * @param {import('heimnetz-sdk').Input} _input
 * @param {import('heimnetz-sdk').Context} context
 */
export async function run(_input, context) {
  const { devices } = context.config;
  for (const device of devices) {
    if (net.isIP(device) === 0) throw new TypeError('a device is named by its address');
  }
  const findings = [];
  const notReached = [];
  for (const device of devices) {
    const page = await openPage(device);
    if (page === null) notReached.push(device);
    else findings.push(...judge(device, page));
  }
  findings.sort((a, b) => rank(b) - rank(a) || compare(a.target, b.target) || compare(a.rule, b.rule));
  for (const one of findings) context.log(`${one.severity}: ${one.target}: ${one.message}`);
  return {
    findings,
    worst: findings.length ? findings[0].severity : null,
    checked: devices.length - notReached.length,
    not_reached: notReached,
  };
}

const rank = (finding) => SEVERITIES.indexOf(finding.severity);
const compare = (a, b) => (a < b ? -1 : Number(a > b));

/** Null where nobody answers. A redirect is an answer to look at, not to follow. */
async function openPage(device) {
  const host = net.isIPv6(device) ? `[${device}]` : device;
  try {
    const answer = await fetch(`http://${host}/`, {
      headers: { 'user-agent': 'heimnetz-plugin' },
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: answer.status, server: answer.headers.get('server') ?? '', text: await read(answer) };
  } catch {
    return null;
  }
}

/** The beginning of the page; the rest is not waited for. */
async function read(answer) {
  const parts = [];
  let size = 0;
  for await (const part of answer.body ?? []) {
    parts.push(part);
    size += part.length;
    if (size >= MAX_PAGE_BYTES) break;
  }
  return Buffer.concat(parts).subarray(0, MAX_PAGE_BYTES).toString();
}

/** What a page tells, as the auditor's findings, with a device in place of a line of code. */
function* judge(device, page) {
  if (page.status === 401) {
    yield {
      target: device,
      rule: 'password-in-clear',
      cwe: 319,
      severity: 'high',
      confidence: 'high',
      message: 'asks for name and password over HTTP; who listens in the network reads both',
    };
  } else if (PASSWORD_FIELD.test(page.text)) {
    yield {
      target: device,
      rule: 'password-in-clear',
      cwe: 319,
      severity: 'high',
      confidence: 'medium',
      message: 'has a form for a password on a page without encryption; use its HTTPS address',
    };
  }
  if (/\d\.\d/.test(page.server)) {
    yield {
      target: device,
      rule: 'version-shown',
      cwe: 200,
      severity: 'low',
      confidence: 'high',
      message: `tells which software it runs: ${shown(page.server.slice(0, 80))}`,
    };
  }
}

/** Whatever a device sends is data, and is shown with everything unusual as an escape. */
function shown(text) {
  const escape = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `"${text.replace(/[^\x20-\x7e]|["\\]/g, escape)}"`;
}
