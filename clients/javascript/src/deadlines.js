'use strict';

/**
 * The unsettled operations in one list, and one timer for all of them.
 *
 * A timer per operation would cost more than the operation. The list is looked through when the earliest deadline that was seen has
 * come, at most every few milliseconds; operations that ended by then cost nothing.
 */

const GRAIN_MS = 4;
/** A timer of Node that is set for longer comes at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

class Deadlines {
  /** @param {(operation: object) => void} expired */
  constructor(expired) {
    this.expired = expired;
    this.first = null;
    this.count = 0;
    this.timer = null;
    this.timerAt = Infinity;
  }

  add(operation) {
    operation.next = this.first;
    if (this.first !== null) this.first.previous = operation;
    this.first = operation;
    this.count++;
    if (operation.deadline !== 0) this.watch(operation.deadline);
  }

  remove(operation) {
    if (operation.previous === null) this.first = operation.next;
    else operation.previous.next = operation.next;
    if (operation.next !== null) operation.next.previous = operation.previous;
    operation.previous = operation.next = null;
    this.count--;
  }

  /** Sees to it that the list is looked through at `time`. */
  watch(time) {
    if (time >= this.timerAt) return;
    clearTimeout(this.timer);
    this.timerAt = time;
    this.timer = setTimeout(() => this.sweep(), Math.min(TIMER_MAX_MS, Math.max(GRAIN_MS, Math.ceil(time - performance.now()))));
    // What is under way holds a socket or a timer of its own; this one alone keeps no process alive.
    this.timer.unref();
  }

  sweep() {
    this.timer = null;
    this.timerAt = Infinity;
    const now = performance.now();
    let earliest = Infinity;
    const due = [];
    for (let operation = this.first; operation !== null; operation = operation.next) {
      let time = operation.deadline === 0 ? Infinity : operation.deadline;
      if (operation.isWaiting && operation.chooseBy < time) time = operation.chooseBy;
      if (time <= now) due.push(operation);
      else if (time < earliest) earliest = time;
    }
    if (earliest !== Infinity) this.watch(earliest);
    due.forEach(this.expired);
  }

  /** Calls `body` for each operation that is there now. */
  forEach(body) {
    const operations = [];
    for (let operation = this.first; operation !== null; operation = operation.next) operations.push(operation);
    operations.forEach(body);
  }
}

module.exports = { Deadlines };
