/// A connection that another node opened leaves its event loop: the socket goes to the replication loop, this handler ends.
///
/// The other side waits for the answer to CONNECT before it says more, and that answer comes from the new owner.

import NIOCore
import NexaDocuments
import NexaTLS
import NexaWire

extension ConnectionHandler {
    func handOver(_ hello: UnsafeRawBufferPointer, _ principal: Principal?) {
        guard case .socket(let context)? = outlet, let service = loop.node.replication, machine.answers.byteCount == 0,
            tasks.isEmpty
        else {
            refuse(
                DocumentError(.badRequest, "A connection for replication begins with its CONNECT, alone"), requestID: nil)
            machine.drain()
            return
        }
        guard hello.count <= ReplicationService.introductionByteCountMax else {
            refuse(
                DocumentError(
                    .tooLarge, "A CONNECT for replication has at most \(ReplicationService.introductionByteCountMax) bytes"),
                requestID: nil)
            machine.drain()
            return
        }
        guard let descriptor = loop.node.tls == nil ? duplicate(context) : relay(context) else {
            refuse(DocumentError(.internal, "The socket cannot be handed over"), requestID: nil)
            machine.drain()
            return
        }
        let authenticator = loop.node.authenticator
        service.adopt(descriptor, hello: hello) { authenticator.stillReplicates(principal) }
        machine.drain()
        // Closes the first descriptor only: the socket lives on behind the second. A relay needs the channel.
        if loop.node.tls == nil { context.close(promise: nil) }
    }

    private func duplicate(_ context: ChannelHandlerContext) -> NIOBSDSocket.Handle? {
        let copy = try? context.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { DescriptorCloser.duplicate($0) }
        return copy ?? nil
    }

    /// What is encrypted stays on this loop, with a descriptor of its plaintext in place of this handler.
    private func relay(_ context: ChannelHandlerContext) -> NIOBSDSocket.Handle? {
        let channel = context.channel
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
        guard let descriptor = try? Relay.descriptor(for: channel) else {
            channel.close(promise: nil)
            return nil
        }
        return descriptor
    }
}
