/// The labels of a sample, as `"peer=\"\(name)\""`: what is put in is escaped, so that no name that a node was given ends its label or its
/// line.

package struct MetricLabels: ExpressibleByStringInterpolation, Hashable, Comparable, Sendable {
    package let text: String

    package init(stringLiteral text: String) { self.text = text }
    package init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }

    package static func < (left: Self, right: Self) -> Bool { left.text < right.text }

    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        package init(literalCapacity: Int, interpolationCount: Int) {
            text.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        package mutating func appendLiteral(_ literal: String) { text += literal }

        /// Appends the value of a label.
        package mutating func appendInterpolation(_ value: some Any) {
            for scalar in String(describing: value).unicodeScalars {
                switch scalar {
                case "\\": text += "\\\\"
                case "\"": text += "\\\""
                case "\n": text += "\\n"
                default: text.unicodeScalars.append(scalar)
                }
            }
        }
    }
}
