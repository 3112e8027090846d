// Nodes as the commands of a cluster name them, and connections for their administration.

import ArgumentParser
import NexaBlockingClient

struct NodeAddress: ExpressibleByArgument {
    var endpoint: Endpoint

    init?(argument: String) {
        guard let endpoint = Endpoint(parsing: argument) else { return nil }
        self.endpoint = endpoint
    }

    /// A connection for messages between nodes.
    func administer(timeout: Double) throws(ClientError) -> ClientConnection {
        var options = ClientConnection.Options()
        options.clientName = "nexadb-admin"
        options.purpose = "replication"
        try LogInOptions.applyEnvironment(to: &options)
        options.timeout = .seconds(timeout)
        return try ClientConnection.open(endpoint, options)
    }

    /// An ordinary connection.
    func connect(timeout: Double) throws(ClientError) -> ClientConnection {
        var options = ClientConnection.Options()
        options.clientName = "nexadb-cluster"
        try LogInOptions.applyEnvironment(to: &options)
        options.timeout = .seconds(timeout)
        return try ClientConnection.open(endpoint, options)
    }
}
