/// Names in a store's directory: manifests, and the marker that says which one counts. A marker is an empty file; its *name* is the
/// pointer, so there is nothing in it to tear, and the highest iteration wins.
package enum ManifestFileName {
    package struct Marker: Equatable, Sendable {
        package var iteration: UInt64
        package var manifestID: UInt64
    }

    package static func manifest(_ id: UInt64) -> String { "MANIFEST-" + Hex.string(id) }

    /// Nil for other names, and for numbers that no writer reaches: there has to be a next one.
    package static func manifestID(_ name: String) -> UInt64? {
        name.hasPrefix("MANIFEST-") ? reachable(Hex.value(name.dropFirst(9))) : nil
    }

    private static func reachable(_ number: UInt64?) -> UInt64? { number.flatMap { $0 < 1 << 62 ? $0 : nil } }

    package static func marker(_ marker: Marker) -> String {
        "manifest.\(Hex.string(marker.iteration)).\(Hex.string(marker.manifestID))"
    }

    package static func marker(_ name: String) -> Marker? {
        guard name.hasPrefix("manifest."), name.utf8.count == 9 + 16 + 1 + 16 else { return nil }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let iteration = reachable(Hex.value(parts[1])),
            let id = reachable(Hex.value(parts[2]))
        else { return nil }
        return Marker(iteration: iteration, manifestID: id)
    }
}
