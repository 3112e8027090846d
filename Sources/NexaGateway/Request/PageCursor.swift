/// Where the next page of a query begins: behind a key, or after so many documents. Opaque to clients: base64 without padding, as it can
/// stand in a URL.
///
/// Without a sort order documents come in the order of their keys, and a page that begins behind a key costs the same wherever it is, and
/// neither repeats nor leaves out what is inserted meanwhile. With a sort order a cursor counts.

import NexaWire

package enum PageCursor: Equatable {
    case behind(key: String)
    case after(count: Int)

    package var text: String {
        let plain =
            switch self {
            case .behind(let key): "k" + key
            case .after(let count): "n\(count)"
            }
        let encoded = Array(plain.utf8).withUnsafeBytes { Base64.encode($0) }
        return String(decoding: encoded, as: UTF8.self).replacing("+", with: "-").replacing("/", with: "_").replacing(
            "=", with: "")
    }

    package init?(_ text: String) {
        guard text.utf8.count <= 2_048 else { return nil }
        var padded = text.replacing("-", with: "+").replacing("_", with: "/")
        padded += String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4)
        let decoded = Array(padded.utf8).withUnsafeBytes { Base64.decode($0) }
        guard let plain = decoded.flatMap({ String(validating: $0, as: UTF8.self) }) else { return nil }
        switch plain.first {
        case "k": self = .behind(key: String(plain.dropFirst()))
        case "n":
            guard let count = Int(plain.dropFirst()), count >= 0 else { return nil }
            self = .after(count: count)
        default: return nil
        }
    }
}
