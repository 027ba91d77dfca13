//! Functions of text that is JSON.

use bumpalo::Bump;

use super::Parameter::Text;
use super::{Arguments, Constants, Function, Returned, Returns};
use crate::column::derived::Step;
use crate::expression::scalar::{Reason, Scalar};
use crate::format::json::{find, text_of};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new(
        "extractjsonfield",
        &[("json", Text), ("path", Text)],
        Returns::Text,
        extract,
    )
    .checks(|constants: Constants<'_>| match constants.text(1) {
        Some(path) => steps(path).map(drop).map_err(|wrong| (1, wrong)),
        None => Ok(()),
    })
    .says("The value in JSON at a path such as `$.a.b[0]`, as text; null if there is none.")
    .example(
        "extractjsonfield('{\"a\":{\"b\":[1,\"x\"]}}', '$.a.b[1]')",
        "x",
    ),
    Function::new(
        "is_json_string",
        &[("text", Text)],
        Returns::Boolean,
        |arguments, _| {
            let json = serde_json::from_str::<serde::de::IgnoredAny>(arguments.text(0));
            Ok(Scalar::Boolean(json.is_ok()))
        },
    )
    .sees_null()
    .says("Whether the text is JSON; false for null.")
    .example("is_json_string('[1, 2]')", "true"),
];

/// Returns the steps of a path such as `$.a.b[0]`, or what is wrong with it.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let wrong = || format!("`{path}` is not a path such as `$.a.b[0]`");
    let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, behind) = name.split_at(end);
            if name.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Member(name.to_owned()));
            rest = behind;
        } else {
            let inner = rest.strip_prefix('[').ok_or_else(wrong)?;
            let (inner, behind) = inner.split_once(']').ok_or_else(wrong)?;
            let quoted = inner.strip_prefix(['\'', '"']);
            steps.push(match quoted {
                Some(name) => {
                    Step::Member(name.strip_suffix(['\'', '"']).ok_or_else(wrong)?.to_owned())
                }
                None => Step::Element(inner.parse::<u32>().map_err(|_| wrong())?.into()),
            });
            rest = behind;
        }
    }
    Ok(steps)
}

fn extract<'a>(arguments: Arguments<'_, 'a>, arena: &'a Bump) -> Returned<'a> {
    let steps = steps(arguments.text(1)).map_err(Reason::Wrong)?;
    // As it is written: on the way through a number digits would be lost.
    let found = find(arguments.text(0).as_bytes(), &steps);
    let text = found.and_then(|found| text_of(found.get(), arena).ok().flatten());
    Ok(text.map_or(Scalar::Null, Scalar::Text))
}
