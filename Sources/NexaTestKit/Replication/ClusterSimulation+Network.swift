// The network: connections keep the order of each direction until they break; datagrams come late, twice, or never; a cut is one way.

import NexaReplication
import NexaStorage

extension ClusterSimulation {
    func isCut(_ from: Int, _ to: Int) -> Bool { from != to && cut[from][to] }

    // MARK: - Connections

    func connect(_ index: Int, _ life: Int, _ session: SessionID, to target: Int?) {
        guard machines[index].life == life, machines[index].core != nil else { return }
        guard let target, target != index, machines[target].core != nil, !isCut(index, target), !isCut(target, index) else {
            // Refused at once, or only after a while.
            schedule.add(.event(index, life: life, .closed(session)), at: now + latency() * (random.chance(0.5) ? 1 : 50))
            return
        }
        let server = SessionID(machines[target].nextServerSession)
        machines[target].nextServerSession += 1
        connections.append(Connection(client: index, server: target, clientSession: session, serverSession: server))
        machines[index].connections[session] = connections.count - 1
        machines[target].connections[server] = connections.count - 1
        deliver(.upstreamConnected(session), to: index)
    }

    func send(_ frame: SimulatedFrame, from index: Int, _ session: SessionID) {
        guard let number = machines[index].connections[session] else { return }
        let toServer = connections[number].client == index && connections[number].clientSession == session
        guard toServer ? connections[number].clientOpen : connections[number].serverOpen else { return }
        let other = toServer ? connections[number].server : connections[number].client
        if isCut(index, other) {
            if toServer { connections[number].toServerIsDead = true } else { connections[number].toClientIsDead = true }
        }
        guard !(toServer ? connections[number].toServerIsDead : connections[number].toClientIsDead) else { return }
        let time = max(toServer ? connections[number].lastToServer : connections[number].lastToClient, now + latency())
        if toServer { connections[number].lastToServer = time } else { connections[number].lastToClient = time }
        schedule.add(.frame(connection: number, toServer: toServer, frame), at: time)
    }

    func receive(_ frame: SimulatedFrame, on number: Int, toServer: Bool) {
        let connection = connections[number]
        // Frames may still come up from a connection that this side has closed: nothing of them may be taken.
        let isOpen = toServer ? connection.serverOpen : connection.clientOpen
        guard isOpen || random.chance(0.3) else { return }
        let index = toServer ? connection.server : connection.client
        let session = toServer ? connection.serverSession : connection.clientSession
        guard machines[index].connections[session] == number else { return }
        switch frame {
        case .batch(let header, let records): arrive(header, records, session, on: index)
        case .message(.readIndex(let question)):
            deliver(.readIndex(session, question, visible: machines[index].disk.synced), to: index)
        case .message(let message): deliver(toServer ? .downstream(session, message) : .upstream(session, message), to: index)
        }
    }

    func close(_ session: SessionID, _ reason: CloseReason, on index: Int) {
        guard let number = machines[index].connections[session] else {
            // The dial was still under way: its answer will find nobody.
            return
        }
        if case .stop(let stop) = reason { send(.message(.stop(stop)), from: index, session) }
        let toServer = connections[number].client == index && connections[number].clientSession == session
        if toServer { connections[number].clientOpen = false } else { connections[number].serverOpen = false }
        let time = max(toServer ? connections[number].lastToServer : connections[number].lastToClient, now) + latency()
        schedule.add(.hangUp(connection: number, toServer: toServer), at: time)
    }

    /// One side learns that the other has closed.
    func hangUp(_ number: Int, toServer: Bool) {
        let connection = connections[number]
        let index = toServer ? connection.server : connection.client
        let session = toServer ? connection.serverSession : connection.clientSession
        guard toServer ? connection.serverOpen : connection.clientOpen else { return }
        if toServer { connections[number].serverOpen = false } else { connections[number].clientOpen = false }
        guard machines[index].connections[session] == number else { return }
        deliver(.closed(session), to: index)
    }

    /// Breaks a connection: both sides hear of it, at their own times.
    func breakConnection(_ number: Int) {
        schedule.add(.hangUp(connection: number, toServer: true), at: now + latency())
        schedule.add(.hangUp(connection: number, toServer: false), at: now + latency() * 10)
    }

    // MARK: - Datagrams

    func sendDatagram(_ message: ReplicationMessage, from index: Int, to peer: NodeID) {
        guard let target = machines.firstIndex(where: { $0.id == peer }), !isCut(index, target) else { return }
        if random.below(100) < lossPercent { return }
        schedule.add(.datagram(from: index, to: target, message), at: now + latency())
        // A second copy, perhaps much later.
        if !isHealed && random.chance(0.1) {
            schedule.add(.datagram(from: index, to: target, message), at: now + latency() * (random.chance(0.3) ? 500 : 3))
        }
    }

    func receive(_ message: ReplicationMessage, from: Int, to: Int) {
        deliver(.peer(machines[from].id, message), to: to)
    }
}
