'use strict';

/**
 * Which node an operation goes to: pure functions over what is known of the nodes.
 *
 * A node is `{isOpen, role, epoch, roundTripMS, inFlight}`. The primary is the node that leads the newest epoch, or stands alone.
 * Among several candidates those within the latency window of the fastest are left, and of two drawn from these the less busy one
 * is taken.
 */

const isPrimary = (node) => node.isOpen && (node.role === 'leader' || node.role === 'single');
const isSecondary = (node) => node.isOpen && node.role === 'follower';

/** The node that takes writes, or null. */
function choosePrimary(nodes) {
  let best = null;
  for (const node of nodes) if (isPrimary(node) && (best === null || node.epoch > best.epoch)) best = node;
  return best;
}

/**
 * @param {object[]} nodes
 * @param {'primary' | 'primaryPreferred' | 'secondary' | 'secondaryPreferred' | 'nearest'} preference
 * @param {number} windowMS
 * @param {() => number} [random]
 */
function chooseForRead(nodes, preference, windowMS, random = Math.random) {
  const primary = choosePrimary(nodes);
  switch (preference) {
    case 'primary':
      return primary;
    case 'primaryPreferred':
      return primary ?? nearest(nodes.filter(isSecondary), windowMS, random);
    case 'secondary':
      return nearest(nodes.filter(isSecondary), windowMS, random);
    case 'secondaryPreferred':
      return nearest(nodes.filter(isSecondary), windowMS, random) ?? primary;
    default:
      return nearest(nodes.filter((node) => node === primary || isSecondary(node)), windowMS, random);
  }
}

function nearest(nodes, windowMS, random) {
  if (nodes.length < 2) return nodes[0] ?? null;
  const fastest = Math.min(...nodes.map((node) => node.roundTripMS));
  const near = nodes.filter((node) => node.roundTripMS <= fastest + windowMS);
  if (near.length === 1) return near[0];
  const first = Math.floor(random() * near.length);
  const second = (first + 1 + Math.floor(random() * (near.length - 1))) % near.length;
  return near[first].inFlight <= near[second].inFlight ? near[first] : near[second];
}

/** The moving average of round trips: one in five of what is new. */
function averaged(roundTripMS, sample) {
  return roundTripMS === 0 ? sample : roundTripMS * 0.8 + sample * 0.2;
}

/** How long to wait before the next attempt: doubling from 20 ms up to `mostMS`, half of it by chance. */
function backOff(attempt, mostMS, random = Math.random) {
  const most = Math.min(mostMS, 20 * 2 ** Math.min(attempt, 20));
  return most / 2 + (most / 2) * random();
}

module.exports = { choosePrimary, chooseForRead, averaged, backOff };
