/// What types of answer a client takes (`Accept`; RFC 9110, 12.5.1): of the ranges that a type falls under, the most specific one says how
/// much it is liked, from 0, which refuses it, to 1.

package struct Acceptance {
    private var ranges: [(type: String, quality: Double)] = []
    /// Nothing was said: everything is as good.
    private let takesAll: Bool

    package init(_ field: String?) {
        takesAll = field?.allSatisfy { $0 == " " } ?? true
        for range in field?.split(separator: ",") ?? [] {
            let parts = range.split(separator: ";").map { MediaType.essence(String($0)) }
            guard let type = parts.first, !type.isEmpty else { continue }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }
            ranges.append((type, weight.map { min(max(Double($0.dropFirst(2)) ?? 0, 0), 1) } ?? 1))
        }
    }

    package func quality(of type: String) -> Double {
        if takesAll { return 1 }
        let family = String(type.prefix { $0 != "/" }) + "/*"
        for range in [type, family, "*/*"] {
            if let found = ranges.first(where: { $0.type == range }) { return found.quality }
        }
        return 0
    }

    /// Lines are asked for by name, and liked better than JSON.
    package var prefersLines: Bool {
        let lines = ranges.filter { MediaType.isLines($0.type) }.map(\.quality).max() ?? 0
        return lines > 0 && lines >= ranges.filter { $0.type == MediaType.json }.map(\.quality).max() ?? 0
    }
}
