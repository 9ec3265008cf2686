"""What customers say of us: surveys and their answers, suggestions, reviews and complaints, and the scores of them.

Announces `FeedbackReceived`, `ComplaintReceived`, `ScoredLow`, `FeedbackImported`, `FeedbackForgotten`,
`SurveyPublished`, `SurveyAnswered`.
Reacts to `CustomerDeleted` (deletes its rows) and `CustomerErased` (empties what was said).
Offers the import kind `feedback`.
Never changes what was said: feedback is added to, and a published version of a survey stays as it is.
"""
