import Glibc
import NexaBlockingClient
import NexaWire

/// Which server is driven: how connections are opened for the load loop, and how the key space is loaded and looked at.
enum LoadTarget: Sendable {
    case nexa(ClientConnection.Options, NexaDialect.Options, isCompact: Bool)
    /// `replicas` more must have a write before it counts as answered.
    case redis(replicas: Int)

    /// `count` descriptors, connected, introduced and non-blocking, and the handle that all of them bound.
    func open(_ endpoint: Endpoint, count: Int, timeout: Duration) throws(ClientError) -> (descriptors: [Int32], handle: UInt64?)
    {
        var descriptors: [Int32] = []
        var handle: UInt64?
        for _ in 0..<count {
            switch self {
            case .redis:
                descriptors.append(try BlockingSocket.connect(to: endpoint, timeout: timeout).releaseDescriptor())
            case .nexa(var options, let requests, let isCompact):
                if isCompact { options.features.append("compact") }
                let connection = try ClientConnection.open(endpoint, options)
                if isCompact {
                    let bound = try Self.bind(connection, requests)
                    guard handle == nil || handle == bound else {
                        throw .protocolViolation("BIND gave different handles on different connections")
                    }
                    handle = bound
                }
                descriptors.append(connection.releaseDescriptor())
            }
        }
        return (descriptors, handle)
    }

    /// The handle for the collection on this connection.
    private static func bind(_ connection: ClientConnection, _ requests: NexaDialect.Options) throws(ClientError) -> UInt64 {
        let answer = try connection.request(
            .bind, ["database": .string(requests.database), "collection": .string(requests.collection)])
        let value = answer.payload["handle"] ?? answer.payload
        guard let handle = value.intValue, handle >= 0 else { throw .protocolViolation("BIND gave no handle") }
        return UInt64(handle)
    }
}
