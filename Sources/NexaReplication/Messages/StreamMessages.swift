// WAL_BATCH, ACK, HEARTBEAT: the hot messages. Arrays of unsigned numbers in a fixed order; reading and writing them allocates nothing
// (but for the positions of chained followers in an ACK, where there are any). Elements behind the known ones are ignored.

import NexaStorage
import NexaWire

/// What an upstream says in every frame about where the leader is. `endAge` says how old the knowledge of `end` is (0 on the leader itself)
/// and `echo` is the `sentAt` of the follower's last ACK, on the follower's clock: `end` was true after that moment, so the follower knows how
/// stale it is at most from its own clock alone.
package struct FrameStamp: Hashable, Sendable {
    package var epoch: Epoch
    package var committed: LSN
    package var end: LSN
    package var endAge: Microseconds
    /// On the sender's clock; comes back in ACKs.
    package var sentAt: Microseconds
    package var echo: Microseconds

    package init(epoch: Epoch, committed: LSN, end: LSN, endAge: Microseconds = 0, sentAt: Microseconds, echo: Microseconds = 0) {
        self.epoch = epoch
        self.committed = committed
        self.end = end
        self.endAge = endAge
        self.sentAt = sentAt
        self.echo = echo
    }
}

/// E4 WAL_BATCH without its records. All records of a batch have one epoch: an EPOCH_START is always the first of its batch.
///
///     [epoch, committed, end, end_age, sent_at, echo, record_epoch, first, last, previous_chain, bin]
///
/// The bin holds the portable parts of the records (`ReplicatedRecord`) one after the other without a gap.
package struct BatchHeader: Hashable, Sendable {
    static let elementCount = 11

    package var stamp: FrameStamp
    package var recordEpoch: Epoch
    package var first: LSN
    package var last: LSN
    /// The sender's chain at `first - 1`.
    package var previousChain: UInt64

    package init(stamp: FrameStamp, recordEpoch: Epoch, first: LSN, last: LSN, previousChain: UInt64) {
        self.stamp = stamp
        self.recordEpoch = recordEpoch
        self.first = first
        self.last = last
        self.previousChain = previousChain
    }

    /// Appends the array up to where the records follow as one `bin` that the caller writes.
    package func encode(into output: OutputBytes) {
        output.writeArrayHeader(BatchHeader.elementCount)
        stamp.encode(into: output)
        output.writeUInt(recordEpoch)
        output.writeUInt(first)
        output.writeUInt(last)
        output.writeUInt(previousChain)
    }

    /// The header and the bytes of the records, which stay where they are.
    package static func decode(
        _ payload: UnsafeRawBufferPointer
    ) throws(MessageError) -> (header: BatchHeader, records: UnsafeRawBufferPointer) {
        do throws(MessagePackError) {
            var reader = MessagePackReader(payload)
            let count = try reader.readArrayHeader()
            guard count >= elementCount else { throw MessagePackError(.truncated, at: 0) }
            let stamp = try FrameStamp(from: &reader)
            let header = BatchHeader(
                stamp: stamp, recordEpoch: try reader.readUInt64(), first: try reader.readUInt64(), last: try reader.readUInt64(),
                previousChain: try reader.readUInt64())
            let records = try reader.readBinBytes()
            guard header.first > 0, header.last >= header.first, header.last < .max else {
                throw MessagePackError(.outOfRange, at: 0)
            }
            return (header, records)
        } catch {
            throw .malformed(error)
        }
    }
}

extension FrameStamp {
    static let elementCount = 6

    func encode(into output: OutputBytes) {
        output.writeUInt(epoch)
        output.writeUInt(committed)
        output.writeUInt(end)
        output.writeUInt(endAge)
        output.writeUInt(sentAt)
        output.writeUInt(echo)
    }

    init(from reader: inout MessagePackReader) throws(MessagePackError) {
        epoch = try reader.readUInt64()
        committed = try reader.readUInt64()
        end = try reader.readUInt64()
        endAge = try reader.readUInt64()
        sentAt = try reader.readUInt64()
        echo = try reader.readUInt64()
    }
}

/// E5 HEARTBEAT: a stamp when there are no records to carry it, or when the commit point moved.
///
///     [epoch, committed, end, end_age, sent_at, echo, leader, topology_version]
package struct Heartbeat: Hashable, Sendable {
    package var stamp: FrameStamp
    package var leader: NodeID
    package var topologyVersion: UInt64

    package init(stamp: FrameStamp, leader: NodeID, topologyVersion: UInt64) {
        self.stamp = stamp
        self.leader = leader
        self.topologyVersion = topologyVersion
    }

    func encode(into output: OutputBytes) {
        output.writeArrayHeader(FrameStamp.elementCount + 2)
        stamp.encode(into: output)
        output.writeUInt(leader.rawValue)
        output.writeUInt(topologyVersion)
    }

    init(_ payload: UnsafeRawBufferPointer) throws(MessageError) {
        do throws(MessagePackError) {
            var reader = MessagePackReader(payload)
            guard try reader.readArrayHeader() >= FrameStamp.elementCount + 2 else { throw MessagePackError(.truncated, at: 0) }
            stamp = try FrameStamp(from: &reader)
            leader = NodeID(rawValue: try reader.readUInt64())
            topologyVersion = try reader.readUInt64()
        } catch {
            throw .malformed(error)
        }
    }
}

/// 65 ACK, follower -> upstream, unasked, after each group sync: what is on this disk.
///
///     [epoch, written, durable, applied, sent_at, echo, [[node, durable]...]]
package struct Ack: Equatable, Sendable {
    package struct Downstream: Hashable, Sendable {
        package var node: NodeID
        package var durable: LSN

        package init(node: NodeID, durable: LSN) {
            self.node = node
            self.durable = durable
        }
    }

    /// The first seven are always there.
    static let elementCount = 8
    static let elementCountMin = 7
    package static let downstreamCountMax = 64

    package var epoch: Epoch
    package var written: LSN
    package var durable: LSN
    package var applied: LSN
    /// On the follower's clock; comes back in the upstream's next frame.
    package var sentAt: Microseconds
    /// The `sentAt` of the last frame from upstream.
    package var echo: Microseconds
    /// Nodes that follow this one, and what is durable on them.
    package var downstream: [Downstream]
    /// The sender does not count for commits and leaders yet (`Standing`).
    package var isNewcomer: Bool

    package init(
        epoch: Epoch, written: LSN, durable: LSN, applied: LSN, sentAt: Microseconds, echo: Microseconds,
        downstream: [Downstream] = [], isNewcomer: Bool = false
    ) {
        self.epoch = epoch
        self.written = written
        self.durable = durable
        self.applied = applied
        self.sentAt = sentAt
        self.echo = echo
        self.downstream = downstream
        self.isNewcomer = isNewcomer
    }

    func encode(into output: OutputBytes) {
        output.writeArrayHeader(Ack.elementCount)
        output.writeUInt(epoch)
        output.writeUInt(written)
        output.writeUInt(durable)
        output.writeUInt(applied)
        output.writeUInt(sentAt)
        output.writeUInt(echo)
        output.writeArrayHeader(downstream.count)
        for node in downstream {
            output.writeArrayHeader(2)
            output.writeUInt(node.node.rawValue)
            output.writeUInt(node.durable)
        }
        output.writeBool(isNewcomer)
    }

    init(_ payload: UnsafeRawBufferPointer) throws(MessageError) {
        var nodes: [Downstream] = []
        var tooMany = false
        do throws(MessagePackError) {
            var reader = MessagePackReader(payload)
            let elementCount = try reader.readArrayHeader()
            guard elementCount >= Ack.elementCountMin else { throw MessagePackError(.truncated, at: 0) }
            epoch = try reader.readUInt64()
            written = try reader.readUInt64()
            durable = try reader.readUInt64()
            applied = try reader.readUInt64()
            sentAt = try reader.readUInt64()
            echo = try reader.readUInt64()
            let count = try reader.readArrayHeader()
            tooMany = count > Ack.downstreamCountMax
            for _ in 0..<(tooMany ? 0 : count) {
                guard try reader.readArrayHeader() == 2 else { throw MessagePackError(.wrongType, at: reader.position) }
                nodes.append(Downstream(node: NodeID(rawValue: try reader.readUInt64()), durable: try reader.readUInt64()))
            }
            isNewcomer = elementCount > Ack.elementCountMin && !tooMany ? try reader.readBool() : false
        } catch {
            throw .malformed(error)
        }
        guard !tooMany else { throw .tooMany(field: "downstream", limit: Ack.downstreamCountMax) }
        downstream = nodes
    }
}
