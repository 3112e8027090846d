/// The HTTP/JSON door of a node: in the same process, on the same event loops, through the same code as the NEXA port.
///
///     socket ─► Hummingbird ─► Gateway.respond ─► Exchange (one request) ─► NodeAccess ─► LocalConnection ─► ConnectionHandler
///
/// A request is translated into one of the wire protocol, asked over a connection without a socket, and its answer into JSON. Nothing of
/// the node is implemented here again: order, rights, durability, concerns, limits of time are those of the connection.

import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NexaDocuments
import NexaServer
import NexaStorage
import NexaWire

/// A request as far as its head tells: what it is called, when it came, and whether its body is worth reading.
struct Admission {
    enum Verdict {
        case serve(Exchange)
        case answer(Answer)
        case refuse(Problem)
    }

    let requestID: String
    let start: UInt64
    /// What it is counted under.
    var routeName = Route.otherName
    var verdict: Verdict
}

struct Gateway: Sendable {
    let node: NodeContext
    let access: NodeAccess
    private let hosts: HostCheck
    private let crossOrigin: CrossOrigin
    private let date = HTTPDate()
    private let requestIDs = RequestIDs()

    init(_ node: NexaNode, listensOn host: String) async throws {
        self.node = node.context
        access = try await NodeAccess(node)
        let configuration = node.context.configuration
        hosts = HostCheck(listensOn: host, allowedHosts: configuration.httpAllowedHosts)
        crossOrigin = CrossOrigin(allowed: configuration.httpCrossOrigin)
    }

    /// The answer to a request, an error included.
    func respond(to request: Request, _ admission: Admission) async -> Answer {
        let requestID = admission.requestID
        var answer: Answer
        switch admission.verdict {
        case .answer(let ready): answer = ready
        case .refuse(let problem): answer = self.answer(to: request, problem, requestID)
        case .serve(let exchange):
            do throws(Problem) {
                answer = try await exchange.answer()
            } catch {
                answer = self.answer(to: request, error, requestID)
            }
        }
        let nanoseconds = MonotonicTime.nanoseconds() &- admission.start
        answer.fields[.requestID] = requestID
        answer.fields[.nexaRole] = node.roleInCluster
        answer.fields[.date] = date.text(at: WallClock.system.microseconds())
        answer.fields[.serverTiming] = "total;dur=\(nanoseconds / 1_000_000).\(Self.threeDigits(nanoseconds / 1_000 % 1_000))"
        answer.fields[.cacheControl] = "no-store"
        answer.fields[.xContentTypeOptions] = "nosniff"
        crossOrigin.addFields(to: &answer)
        node.http.record(
            route: admission.routeName, method: request.method.rawValue, status: answer.status, nanoseconds: nanoseconds)
        if node.logger.logLevel <= .debug { log(request, answer, requestID, nanoseconds) }
        return answer
    }

    private func log(_ request: Request, _ answer: Answer, _ requestID: String, _ nanoseconds: UInt64) {
        var metadata: Logger.Metadata = [
            "method": "\(request.method.rawValue)", "path": "\(request.uri.path)", "status": "\(answer.status)",
            "microseconds": "\(nanoseconds / 1_000)", "request_id": "\(requestID)",
        ]
        if let parent = request.headers[.traceParent] { metadata["traceparent"] = "\(parent.prefix(64))" }
        node.logger.debug("HTTP request", metadata: metadata)
    }

    private static func threeDigits(_ number: UInt64) -> String { String("\(1_000 + number)".dropFirst()) }

    /// Looks at the head of a request alone.
    func admit(_ request: Request, _ channel: any Channel) -> Admission {
        var admission = Admission(
            requestID: requestIDs.id(of: request.headers), start: MonotonicTime.nanoseconds(),
            verdict: .answer(Answer(status: 200)))
        do throws(Problem) { try judge(request, channel, &admission) } catch { admission.verdict = .refuse(error) }
        return admission
    }

    private func judge(_ request: Request, _ channel: any Channel, _ admission: inout Admission) throws(Problem) {
        guard hosts.accepts(request.head.authority) else {
            throw Problem(.misdirected, "This gateway answers to the names of loopback alone (http-allowed-hosts adds others)")
        }
        if node.isDraining { throw Self.stopping }
        let path = request.uri.path
        let route: Route
        do throws(Route.Failure) { route = try Route(path: path, method: request.method) } catch {
            throw error == .badEncoding
                ? Problem(.badRequest, "The path is not percent-encoded UTF-8")
                : Problem(.notFound, "There is nothing at this path")
        }
        admission.routeName = route.name
        if request.method == .options, let answer = crossOrigin.preflight(route) {
            admission.verdict = .answer(answer)
            return
        }
        guard route.methods.contains(request.method) else {
            var problem = Problem(.methodNotAllowed, "\(request.method.rawValue) means nothing here")
            problem.fields[.allow] = route.methods.map(\.rawValue).joined(separator: ", ")
            throw problem
        }
        try crossOrigin.check(request)
        let exchange = try Exchange(
            request, route, channel: channel, access: access, node: node, requestID: admission.requestID)
        try BodyReader(exchange).checkLength()
        admission.verdict = .serve(exchange)
    }

    private func answer(to request: Request, _ problem: Problem, _ requestID: String) -> Answer {
        var answer = Answer(
            status: problem.status, value: problem.body(instance: request.uri.path, requestID: requestID), type: MediaType.problem
        )
        for field in problem.fields { answer.fields[field.name] = field.value }
        if problem.status == 401 { answer.fields[.wwwAuthenticate] = "Basic realm=\"NexaDB\", charset=\"UTF-8\"" }
        if problem.closesConnection { answer.fields[.connection] = "close" }
        return answer
    }

    private static var stopping: Problem {
        var problem = Problem(.shuttingDown, "The node is stopping")
        problem.closesConnection = true
        return problem
    }
}

extension Exchange {
    /// Serves the request by its route.
    func answer() async throws(Problem) -> Answer {
        switch (route, method) {
        case (.live, _): live()
        case (.ready, _): try ready()
        case (.health, _): health()
        case (.status, _): status()
        case (.statistics, _): try await statistics()
        case (.metrics, _): try await metrics()
        case (.openAPI, _): Answer(text: OpenAPIDocument.text, type: MediaType.json)
        case (.collections(let database), .post): try await createCollection(in: database)
        case (.collections(let database), _): try await listCollections(of: database)
        case (.documents(let target), .post): try await create(in: target)
        case (.documents(let target), .put): try await createCollection(target)
        case (.documents(let target), .delete): try await dropCollection(target)
        case (.documents(let target), _): try await list(target)
        case (.document(let target, let id), .put): try await replace(target, id: id)
        case (.document(let target, let id), .patch):
            request.headers[.contentType].map(MediaType.essence) == MediaType.mergePatch
                ? try await mergePatch(target, id: id) : try await update(target, id: id)
        case (.document(let target, let id), .delete): try await delete(target, id: id)
        case (.document(let target, let id), _): try await read(target, id: id)
        case (.action(let target, .query), _): try await query(target)
        case (.action(let target, .count), _): try await count(target)
        case (.action(let target, .explain), _): try await explain(target)
        case (.action(let target, .bulk), _): try await bulk(into: target)
        case (.action(let target, .vectorSearch), _): try await vectorSearch(target)
        case (.action(_, let action), _): throw Problem(.unsupported, "\(action.rawValue) is not supported by this node yet")
        case (.databases, .post): try await createDatabase()
        case (.databases, _): try await listDatabases()
        case (.database(let name), _): try await dropDatabase(name)
        case (.databaseStatistics(let name), _): try await databaseStatistics(name)
        case (.logIn, _): try await logIn()
        case (.users, .post), (.newUser, _): try await createUser()
        case (.users, _): try await listUsers()
        case (.user(let name), .put): try await changeUser(name)
        case (.user(let name), _): try await deleteUser(name)
        }
    }
}
