/// Subscriptions of a connection: begin, end, and the pump that moves events into the connection's output.
///
///     log moved, socket writable, window read ─► pump ─► chunks in memory: told here, into the answers
///                                                  └──► files: a pool thread tells, and comes back
///
/// Events are whole frames between answers, and where no request id tells them apart they wait until a stream has ended, the farewell of
/// their subscription included. They are put there only while the socket takes bytes and little waits, so a slow client holds a place in
/// the log and at most one turn of a pool thread, and an answer never waits behind more than `outputByteCountMax` of them.

import NIOCore
import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire

extension ConnectionHandler {
    /// Events are not put behind more than this that was not given to the socket.
    private static let outputByteCountMax = 64 << 10

    // MARK: Requests

    func subscribe(_ request: SubscriptionRequest, requestID: UInt32?) {
        let node = loop.node
        if requestID == nil {
            for subscription in subscriptions where subscription.requestID == nil { remove(subscription) }
        }
        guard subscriptions.count < node.configuration.subscriptionCountMax else {
            return refuse(
                DocumentError(
                    .overloaded,
                    "A connection has at most \(node.configuration.subscriptionCountMax) subscriptions (max-subscriptions)"),
                requestID: requestID)
        }
        guard node.changes.admit(limit: node.configuration.nodeSubscriptionCountMax) else {
            return refuse(
                DocumentError(
                    .overloaded,
                    "This node has \(node.configuration.nodeSubscriptionCountMax) subscriptions already (max-node-subscriptions)"),
                requestID: requestID)
        }
        let subscription = ChangeSubscription(
            number: takeSubscriptionNumber(), requestID: requestID, request, session: session, node: node, now: loop.now)
        if subscriptions.isEmpty { loop.watch(self) }
        subscriptions.append(subscription)
        loop.metrics.add(to: .subscriptionsOpened)
        answerSubscribe(subscription)
    }

    private func answerSubscribe(_ subscription: ChangeSubscription) {
        let output = machine.answers.bytes
        let mark = output.beginFrame(.success, requestID: subscription.requestID)
        let filter = subscription.filter
        output.writeMapHeader(9)
        output.writeString("subscribed")
        output.writeBool(true)
        output.writeString("database")
        if let database = filter.database { output.writeString(database) } else { output.writeNil() }
        output.writeString("collection")
        if let collection = filter.collection { output.writeString(collection) } else { output.writeNil() }
        output.writeString("operations")
        let names = ChangeOperations.names.filter { filter.operations.contains($0.operation) }
        output.writeArrayHeader(names.count)
        for (name, _) in names { output.writeString(name) }
        output.writeString("message")
        output.writeString("Subscribed to change stream for \(filter.collection ?? "all collections")")
        Change.appendPosition(subscription.told, subscription: subscription.number, to: output)
        output.endFrame(mark)
    }

    func unsubscribe(_ target: SubscriptionTarget, requestID: UInt32?) {
        let named = subscriptions.filter { subscription in
            switch target {
            case .all: true
            case .number(let number): subscription.number == number
            case .collection(let name): subscription.filter.collection == name
            }
        }
        for subscription in named { remove(subscription) }
        let output = machine.answers.bytes
        let mark = output.beginFrame(.success, requestID: requestID)
        output.writeMapHeader(2)
        output.writeString("unsubscribed")
        // Whoever ends what there may be has ended it; a number that there is not is a mistake.
        if case .number = target { output.writeBool(!named.isEmpty) } else { output.writeBool(true) }
        output.writeString("message")
        output.writeString("Unsubscribed from change stream")
        output.endFrame(mark)
    }

    /// CANCEL of the request that began a subscription. False when there is none.
    func cancelSubscription(requestID: UInt32) -> Bool {
        guard let subscription = subscriptions.first(where: { $0.requestID == requestID }) else { return false }
        remove(subscription)
        refuse(DocumentError(.cancelled, "The subscription was cancelled"), requestID: requestID)
        return true
    }

    // MARK: Ends

    /// Tells the client why, and how to go on.
    private func end(_ subscription: ChangeSubscription, _ reason: SubscriptionEnd) {
        remove(subscription)
        loop.node.changes.counters.count(reason)
        let error = DocumentError(subscription.farewell(reason))
        if mayStandHere(subscription) { refuse(error, requestID: subscription.requestID) } else { farewell = error }
    }

    /// The stream that a farewell waited for may have ended.
    func sayFarewell() {
        guard let error = farewell, !machine.isHeldByStream else { return }
        farewell = nil
        refuse(error, requestID: nil)
    }

    /// The node stops.
    func endSubscriptions(_ reason: SubscriptionEnd) {
        for subscription in subscriptions { end(subscription, reason) }
    }

    private func remove(_ subscription: ChangeSubscription) {
        subscription.isEnded = true
        subscriptions.removeAll { $0 === subscription }
        loop.node.changes.leave()
        if subscriptions.isEmpty { loop.unwatch(self) }
    }

    /// The client is gone, or takes no more.
    func dropSubscriptions() {
        for subscription in subscriptions { remove(subscription) }
    }

    // MARK: Events

    /// Moves what may be told into the output and hands it to the socket.
    func pumpChanges() {
        guard !subscriptions.isEmpty, machine.phase == .open else { return }
        let shown = loop.node.changes.shownLSN
        let before = machine.answers.byteCount
        var (hasMore, hasTaken) = (false, false)
        for subscription in subscriptions where !subscription.isAway && takesEvents(subscription) {
            if subscription.hasReturned {
                take(subscription)
                hasTaken = true
            } else if pump(subscription, upTo: shown) {
                hasMore = true
            }
        }
        guard hasTaken || machine.answers.byteCount > before else { return }
        flushEvents()
        if hasMore || hasTaken { loop.pumpLater(self) }
    }

    private func takesEvents(_ subscription: ChangeSubscription) -> Bool {
        // What a write in the pool has committed may be told only behind its answer.
        if tasks.contains(where: { $0.isAway && $0.type.isWrite }) { return false }
        return canSend && machine.answers.byteCount < Self.outputByteCountMax && mayStandHere(subscription)
    }

    /// Without request ids a frame could be taken for a part of the stream that is under way.
    private func mayStandHere(_ subscription: ChangeSubscription) -> Bool {
        subscription.requestID != nil || !machine.isHeldByStream
    }

    /// Whether there is more to tell at once.
    private func pump(_ subscription: ChangeSubscription, upTo shown: LSN) -> Bool {
        guard subscription.nextLSN <= shown, place(subscription, shown) else { return false }
        let feed = loop.node.changes
        switch feed.look(subscription.nextLSN) {
        case .behind: depart(subscription)
        case .ahead: feed.fill(from: subscription.nextLSN, loop.pool)
        case .chunks(let chunks):
            let start = machine.answers.byteCount
            let outcome = subscription.tell(chunks, into: machine.answers.bytes)
            note(subscription, byteCount: machine.answers.byteCount - start)
            switch outcome {
            case .needsFiles: depart(subscription)
            case .ended(let reason): end(subscription, reason)
            case .more, .caughtUp:
                // Nothing in what was looked through: there is no output whose departure would call again.
                if machine.answers.byteCount == start { loop.pumpLater(self) }
                return true
            }
        }
        return false
    }

    /// Whether the position is one of this history, now that the node has come so far.
    private func place(_ subscription: ChangeSubscription, _ shown: LSN) -> Bool {
        if subscription.isPlaced { return true }
        let record = subscription.told.record
        guard record.lsn <= shown else { return false }
        let view = loop.node.gate.readView(loop.node.engine, visible: shown)
        guard view.history.position(at: record.lsn) == record || view.history.epoch(at: record.lsn) == nil else {
            end(subscription, .historyChanged)
            return false
        }
        subscription.isPlaced = true
        return true
    }

    private func note(_ subscription: ChangeSubscription, byteCount: Int) {
        guard byteCount > 0 else { return }
        loop.metrics.add(subscription.takeEventCount(), to: .changeEvents)
        loop.metrics.add(byteCount, to: .changeBytes)
        subscription.toldAt = loop.now
    }

    private func depart(_ subscription: ChangeSubscription) {
        let (feed, engine, eventLoop) = (loop.node.changes, loop.node.engine, loop.eventLoop)
        let handler = bound
        subscription.isAway = true
        loop.metrics.add(to: .jobs)
        let isTaken = loop.pool.submit { _ in
            subscription.readFiles(feed, engine)
            eventLoop.execute { handler.value.returned(subscription) }
        }
        // The loop's timer asks again.
        if !isTaken { subscription.isAway = false }
    }

    private func returned(_ subscription: ChangeSubscription) {
        subscription.isAway = false
        guard !subscription.isEnded, machine.phase == .open else { return subscription.closeFile() }
        subscription.hasReturned = true
        if !takesEvents(subscription) { subscription.closeFile() }
        pumpChanges()
    }

    /// Puts what a pool thread told into the output.
    private func take(_ subscription: ChangeSubscription) {
        subscription.hasReturned = false
        let count = subscription.output.byteCount
        machine.answers.bytes.append(subscription.output.bytes)
        subscription.output.removeAll(keepingCapacity: subscription.output.capacityByteCount <= 256 << 10)
        subscription.noteTold()
        note(subscription, byteCount: count)
        if case .ended(let reason) = subscription.outcome { end(subscription, reason) }
    }

    /// The record that the slowest subscription needs next; nil: none that can tell at the moment.
    var oldestChange: LSN? { subscriptions.lazy.filter { !$0.isAway }.map(\.nextLSN).min() }

    // MARK: Time

    /// Ends what the user of this connection may not hear any more.
    private func checkAccess() {
        let node = loop.node
        guard session.usersVersion != node.store.catalog.usersVersion else { return }
        node.authenticator.refresh(&session)
        if session.isUnlimited { return }
        for subscription in subscriptions {
            let scope = subscription.filter.database.map { Scope.database($0) } ?? .node
            let user = session.principal?.user
            let mayHearAll = subscription.filter.database != nil || user?.databases.isEmpty == true
            let decision = Authorization.decide(user, .subscribeChanges, needs: MessageType.subscribeChanges.need, in: scope)
            if decision != .allowed || !mayHearAll { end(subscription, .forbidden) }
        }
    }

    /// Several times a second: heartbeats, and who has fallen out of the log.
    func tickChanges(_ now: UInt64) {
        guard !subscriptions.isEmpty, machine.phase == .open else { return }
        checkAccess()
        let oldest = loop.node.engine.oldestLogLSN ?? 0
        for subscription in subscriptions where !subscription.isAway {
            if subscription.nextLSN < oldest {
                end(subscription, .slow)
            } else if let heartbeat = subscription.heartbeat, now &- subscription.toldAt >= heartbeat,
                !subscription.hasReturned, takesEvents(subscription)
            {
                subscription.beat(into: machine.answers.bytes)
                subscription.toldAt = now
            }
        }
        flushEvents()
        pumpChanges()
    }
}
