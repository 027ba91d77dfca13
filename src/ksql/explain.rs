//! EXPLAIN: what a query does, step by step, and the flags of `k` that do the same.

use super::format::Kind;
use super::plan::Plan;
use super::schema::{WINDOWEND, WINDOWSTART};
use super::session::Session;
use super::syntax::{
    Emit, Expr, ExprKind, JoinKind, Name, Query, SelectItem, SourceKind, WindowKind,
};
use super::window::DEFAULT_GRACE_MS;
use crate::plan::clauses::quoted;
use crate::term::units::format_duration;

/// Returns the lines of EXPLAIN.
pub fn explain(query: &Query, plan: &Plan, session: &Session) -> Vec<String> {
    let mut lines = vec![format!("Result: {} [{}]", plan.kind, plan.schema)];
    lines.push("Steps:".to_owned());
    let mut step = |text: String| lines.push(format!("  {text}"));
    for (source, _) in &plan.inputs {
        let format = format!("{}, {}", source.key_format.kind, source.value_format.kind);
        step(format!(
            "read {} {} from {} ({format})",
            source.kind,
            source.name,
            place(session, &source.topic)
        ));
    }
    for join in &query.joins {
        let within = join.within.map_or(String::new(), |within| {
            format!(" within {}", format_duration(within.after_ms))
        });
        step(format!(
            "{} join {} on {}{within}",
            join.kind, join.right.name, join.on
        ));
    }
    query
        .filter
        .iter()
        .for_each(|filter| step(format!("keep rows where {filter}")));
    let list = |by: &[Expr]| {
        by.iter()
            .map(Expr::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    query
        .partition_by
        .iter()
        .for_each(|by| step(format!("key by {}", list(&by.by))));
    query
        .group_by
        .iter()
        .for_each(|by| step(format!("group by {}", list(&by.by))));
    if let Some(window) = &query.window {
        let grace = format_duration(window.grace_ms.unwrap_or(DEFAULT_GRACE_MS));
        step(format!(
            "in windows: {}, grace {grace}",
            windows(window.kind)
        ));
    }
    query
        .having
        .iter()
        .for_each(|having| step(format!("keep groups where {having}")));
    step(format!("write [{}]", plan.schema));
    let engine = match &plan.windowing {
        Some(_) if session.folder.is_some() => "the window engine",
        _ => "the row engine",
    };
    lines.push(format!("Runs on: {engine}"));
    if let Some(line) = flags(query, session) {
        lines.push("The same by flags:".to_owned());
        lines.push(format!("  {line}"));
    }
    lines
}

fn windows(kind: WindowKind) -> String {
    match kind {
        WindowKind::Tumbling { size_ms } => format!("--tumbling {}", format_duration(size_ms)),
        WindowKind::Hopping {
            size_ms,
            advance_ms,
        } => {
            format!(
                "--hopping {},{}",
                format_duration(size_ms),
                format_duration(advance_ms)
            )
        }
        WindowKind::Session { gap_ms } => format!("--session {}", format_duration(gap_ms)),
    }
}

/// Returns where a topic's records are: its file, if it is one.
fn place(session: &Session, topic: &str) -> String {
    match file_of(session, topic) {
        Some(file) => format!("`{file}`"),
        None => format!("topic {topic}"),
    }
}

fn file_of(session: &Session, topic: &str) -> Option<String> {
    let file = session.folder.as_ref()?.file_of(topic)?;
    Some(file.display().to_string())
}

/// Returns a topic as flags name it.
fn named(session: &Session, topic: &str) -> String {
    let name = file_of(session, topic).unwrap_or_else(|| topic.to_owned());
    quoted(&name).into_owned()
}

/// Returns the line of `k window` or `k join` that computes the same rows; `None` where there is
/// none.
pub fn flags(query: &Query, session: &Session) -> Option<String> {
    if query.having.is_some() || query.partition_by.is_some() || query.limit.is_some() {
        return None;
    }
    match &query.joins[..] {
        [] => window_line(query, session),
        [_] => join_line(query, session),
        _ => None,
    }
}

fn window_line(query: &Query, session: &Session) -> Option<String> {
    let source = session.catalog.get(&query.from.name.text)?;
    let is_plain = source.kind == SourceKind::Stream
        && source.windows.is_none()
        && matches!(source.value_format.kind, Kind::Json | Kind::Delimited);
    let window = query.window.filter(|_| is_plain)?;
    let by: Vec<String> = query
        .group_by
        .as_ref()?
        .by
        .iter()
        .map(column)
        .collect::<Option<_>>()?;
    let mut aggregates = Vec::new();
    for item in &query.select {
        let SelectItem::Single { expr, alias } = item else {
            return None;
        };
        if let Some(aggregate) = aggregate(expr) {
            let name = alias
                .as_ref()
                .map_or(String::new(), |alias| format!(" as {}", lower(alias)));
            aggregates.push(format!("{aggregate}{name}"));
        } else if !is_shown_anyway(expr, &by) {
            return None;
        }
    }
    let from = named(session, &source.topic);
    let mut line = format!("k window --from {from} {}", windows(window.kind));
    line.push_str(&format!(
        " --by {} --agg '{}'",
        by.join(","),
        aggregates.join(", ")
    ));
    if let Some(filter) = &query.filter {
        line.push_str(&format!(" --where \"{}\"", plain(filter)?));
    }
    if let Some(time) = &source.time {
        line.push_str(&format!(" --time {}", time.name.to_lowercase()));
    }
    line.push_str(&format!(
        " --grace {}",
        format_duration(window.grace_ms.unwrap_or(DEFAULT_GRACE_MS))
    ));
    line.push_str(if query.emit == Some(Emit::Final) {
        " --emit final"
    } else {
        " --emit changes"
    });
    Some(line)
}

fn join_line(query: &Query, session: &Session) -> Option<String> {
    let join = query.joins.first()?;
    let (left, right) = (
        session.catalog.get(&query.from.name.text)?,
        session.catalog.get(&join.right.name.text)?,
    );
    let are_streams = left.kind == SourceKind::Stream && right.kind == SourceKind::Stream;
    let within = join
        .within
        .filter(|within| are_streams && within.before_ms == within.after_ms)?;
    // Rows without a partner leave at another moment than ksqlDB's, unless there is a grace.
    let kind = match (join.kind, within.grace_ms) {
        (JoinKind::Inner, _) => "inner",
        (JoinKind::Left, Some(_)) => "left",
        (JoinKind::Outer, Some(_)) => "outer",
        _ => return None,
    };
    let is_whole = query.filter.is_none() && query.group_by.is_none() && query.window.is_none();
    let ExprKind::Comparison(_, first, second) = &*join.on.kind else {
        return None;
    };
    let (first, second) = (column(first)?, column(second)?);
    let on = if first == second {
        first
    } else {
        format!("'{first} = {second}'")
    };
    is_whole.then(|| {
        format!(
            "k join {} {} --on {on} --within {} --type {kind}",
            named(session, &left.topic),
            named(session, &right.topic),
            format_duration(within.after_ms)
        )
    })
}

fn lower(name: &Name) -> String {
    name.text.to_lowercase()
}

fn column(expr: &Expr) -> Option<String> {
    match &*expr.kind {
        ExprKind::Column { name, .. } => Some(lower(name)),
        _ => None,
    }
}

/// Returns a call of an aggregate that `k window` has, too, with the same meaning.
fn aggregate(expr: &Expr) -> Option<String> {
    let ExprKind::Call(name, arguments) = &*expr.kind else {
        return None;
    };
    let is_known = ["COUNT", "SUM", "AVG", "MIN", "MAX"].contains(&name.text.as_str());
    match &arguments[..] {
        [] if is_known => Some("count".to_owned()),
        [argument] if is_known => match &*argument.kind {
            ExprKind::Column { .. } => Some(format!("{}({})", lower(name), column(argument)?)),
            _ if name.text == "COUNT" => Some("count".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// Returns whether rows of `k window` have this column without being asked.
fn is_shown_anyway(expr: &Expr, by: &[String]) -> bool {
    match &*expr.kind {
        ExprKind::Column { name, .. } if [WINDOWSTART, WINDOWEND].contains(&name.text.as_str()) => {
            true
        }
        ExprKind::Call(name, arguments) if name.text == "AS_VALUE" => {
            matches!(&arguments[..], [argument] if is_shown_anyway(argument, by))
        }
        _ => column(expr).is_some_and(|column| by.contains(&column)),
    }
}

/// Writes a condition in the words that both languages share.
fn plain(expr: &Expr) -> Option<String> {
    Some(match &*expr.kind {
        ExprKind::Column { .. } => column(expr)?,
        ExprKind::Int(_) | ExprKind::Bigint(_) | ExprKind::Boolean(_) | ExprKind::String(_) => {
            expr.to_string()
        }
        ExprKind::Comparison(comparison, left, right) => {
            format!(
                "{} {} {}",
                plain(left)?,
                comparison.symbol().to_lowercase(),
                plain(right)?
            )
        }
        ExprKind::And(left, right) => format!("({} and {})", plain(left)?, plain(right)?),
        ExprKind::Or(left, right) => format!("({} or {})", plain(left)?, plain(right)?),
        ExprKind::Not(inner) => format!("not ({})", plain(inner)?),
        ExprKind::IsNull(inner) => format!("{} is null", plain(inner)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ksql::parser;
    use crate::ksql::syntax::Statement;

    fn line(query: &str) -> Option<String> {
        let mut session = Session::default();
        for name in ["calls", "texts"] {
            let create = format!(
                "CREATE STREAM {name} (caller STRING KEY, seconds INT, at BIGINT) WITH (kafka_topic='{name}', value_format='JSON', timestamp='at')"
            );
            session.execute(&create).expect("a stream");
        }
        match parser::statement(query, &parser::Types::new()).expect("a query") {
            Statement::Query(query) => flags(&query, &session),
            _ => None,
        }
    }

    #[test]
    fn a_query_that_flags_can_say_is_said_by_flags() {
        let query = "SELECT caller, COUNT(*) AS n, AVG(seconds), WINDOWSTART AS s FROM calls WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) WHERE seconds > 3 AND caller <> 'ada' GROUP BY caller EMIT FINAL";
        let flags = "k window --from calls --tumbling 10s --by caller --agg 'count as n, avg(seconds)' --where \"(seconds > 3 and caller <> 'ada')\" --time at --grace 5s --emit final";
        assert_eq!(line(query).as_deref(), Some(flags));
        let join =
            "SELECT * FROM calls JOIN texts WITHIN 10 SECONDS ON calls.caller = texts.caller";
        assert_eq!(
            line(join).as_deref(),
            Some("k join calls texts --on caller --within 10s --type inner")
        );
    }

    #[test]
    fn what_flags_cannot_say_has_no_line() {
        for query in [
            "SELECT caller, COUNT(*) FROM calls GROUP BY caller",
            "SELECT caller, COLLECT_LIST(seconds) FROM calls WINDOW SESSION (5 SECONDS) GROUP BY caller",
            "SELECT * FROM calls LEFT JOIN texts WITHIN 10 SECONDS ON calls.caller = texts.caller",
        ] {
            assert_eq!(line(query), None, "{query}");
        }
    }
}
