// One figure for how hard it is for the engine to keep up, and what writers feel of it.
//
//     pressure = max(memtables that wait / memtables there may be,  L0 depth / its limit,  compaction debt / its limit)
//
// Up to one half nothing happens. Above, each batch is delayed in proportion to its bytes, smoothly from nothing to about a
// second a mebibyte: there is no cliff. Writers stand still only when there is no memory for another memtable.

import Glibc
import Synchronization

/// The current pressure and what writers owe because of it.
final class PressureGauge: Sendable {
    private let bits = Atomic<UInt64>(0)
    private let owedNanoseconds = Atomic<UInt64>(0)

    init() {}

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func set(_ value: Double) { bits.store(min(max(value, 0), 1).bitPattern, ordering: .relaxed) }

    /// Writers are to be delayed.
    var delays: Bool { value > 0.5 }

    /// Bytes a second that writers may bring at this pressure: 64 MiB/s at one half, 1 MiB/s at one.
    static func admittedByteRate(at pressure: Double) -> Double {
        Double(1 << 20) * exp2(12 * (1 - min(max(pressure, 0.5), 1)))
    }

    /// Adds what a batch costs and returns how long to sleep now: debts too small for the clock are carried over, and nobody
    /// sleeps for more than a millisecond at a time.
    func charge(byteCount: Int) -> UInt64 {
        let cost = UInt64(Double(byteCount) * 1e9 / Self.admittedByteRate(at: value))
        guard owedNanoseconds.add(cost, ordering: .relaxed).newValue >= 100_000 else { return 0 }
        let owed = owedNanoseconds.exchange(0, ordering: .relaxed)
        let sleep = min(owed, 1_000_000)
        owedNanoseconds.add(owed - sleep, ordering: .relaxed)
        return sleep
    }
}

extension Engine {
    /// Looks at memtables, L0 and debt again. After each rotation and each edit.
    func updatePressure() {
        let version = views.load().view.version
        let shape = LevelShape(levels: version.levels.map { $0.map(\.file) }, policy: CompactionPolicy(options))
        versionPressure.store(
            max(
                Double(shape.levelZeroDepth) / Double(options.levelZeroPressureDepth),
                Double(shape.debt) / Double(UInt64(options.baseLevelByteCount) * 64)
            ).bitPattern, ordering: .relaxed)
        updateMemTablePressure(count: pipeline.gate.withLock { pipeline.state.pointee.memTableCount })
    }

    /// The part that a rotation changes; the rest is remembered.
    func updateMemTablePressure(count: Int) {
        let memTables = Double(count - 1) / Double(plan.memTableCountMax - 1)
        pressureGauge.set(max(memTables, Double(bitPattern: versionPressure.load(ordering: .relaxed))))
    }

    /// Lets a writer pay for its bytes.
    func delayWriter(byteCount: Int) {
        let nanoseconds = pressureGauge.charge(byteCount: byteCount)
        guard nanoseconds > 0, !background.isManual else { return }
        counters.delayNanoseconds.add(nanoseconds, ordering: .relaxed)
        var time = timespec(tv_sec: 0, tv_nsec: Int(nanoseconds))
        nanosleep(&time, nil)
    }
}
