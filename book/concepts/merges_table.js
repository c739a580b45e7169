// The first 512 merges of data/tokenizer/merges.txt, in the order in which they were learned. A test holds them against that file.

export const MERGES = (
  "Ġ t|h e|Ġ a|o u|Ġ s|Ġ m|i n|Ġ w|r e|h a|n d|Ġt he|Ġ b|i s|o r|l l|e r|Ġ f|o n|i t|Ġ d|Ġ c|e s|Ġ y|Ġ l|Ġ n|Ġ o|e n|Ġ h|Ġy ou|Ġt h|" +
  "a r|Ġ p|Ġt o|ha t|Ġ I|Ġ he|Ġa nd|o t|Ġo f|v e|a n|Ġ g|o w|o m|s t|in g|a t|Ġb e|Ġ in|s e|Ġ ha|c e|Ġm y|l e|a y|e t|l d|Ġm e|u t|i m|i r|" +
  "e d|Ġn ot|c h|Ġ is|it h|g h|i ll|' s|Ġt hat|' d|Ġf or|Ġ e|o o|k e|ou r|Ġw e|- -|A nd|Ġ u|Ġ it|Ġw ith|Ġyou r|a s|a d|en t|r i|Ġh is|he r|" +
  "a l|gh t|T he|Ġs t|Ġth ou|r a|Ġ k|i d|or d|Ġha ve|om e|Ġh im|Ġth is|l y|Ġ re|Ġs o|Ġl i|Ġ on|v er|Ġa s|u r|ou ld|Ġw ill|o re|Ġd o|oo d|" +
  "Ġd e|u s|a in|h i|r o|Ġs ha|c k|E R|U S|es t|e a|a m|i on|A N|I N|a nd|es s|E N|Ġs e|Ġhe r|Ġn o|Ġa n|t h|Ġl o|g e|Ġb ut|A R|Ġth y|Ġs u|i f|" +
  "Ġa ll|t er|e ll|a ke|Ġs p|Ġk n|E S|r u|i l|Ġf a|Ġsha ll|T h|c t|T o|Ġa re|e ar|ha n|Ġ v|Ġthe e|i ght|Ġ our|O N|h o|r om|Ġb y|Ġ C|T hat|" +
  "Ġm an|a st|Ġs h|Ġn e|Ġl ord|ar d|O R|S T|ar t|ou s|q u|Ġ S|Ġa m|Ġg ood|n t|Ġm u|Ġc om|Ġa t|Ġ '|se l|Ġu p|in e|B ut|e nd|Ġg o|Ġw hat|" +
  "H e|, --|' ll|i ve|W hat|ou t|Ġw he|on e|i e|re s|an t|b le|Ġc on|in d|on g|Ġs he|r y|Ġf rom|e m|Ġp r|Ġkn ow|v en|hi ch|u l|Ġ G|Ġw ould|" +
  "Ġw as|Ġthe m|r ow|Ġthe re|Ġ M|O L|er s|Ġlo ve|ot h|Ġ L|a u|Ġm ore|Ġb l|A L|i c|. --|Ġs w|Ġn ow|Ġc an|Ġ if|L E|p p|at h|a ll|o st|Ġ P|" +
  "Ġ hat|Ġthe y|f e|I O|F or|sel f|Ġt han|Ġl et|Ġs ay|Ġthe ir|e p|Ġs ir|Ġw or|Ġu s|u re|Ġ or|Ġhe re|Ġ A|L O|in k|at e|Ġ H|Ġa r|IN G|" +
  "Ġwe ll|o l|h y|o d|a re|R O|Y ou|Ġse e|at her|re at|Ġc ome|am e|oo k|is h|W he|Ġhat h|e l|Ġ j|Ġthe n|v es|n g|Ġli ke|E L|or t|a k|i g|I C|M y|" +
  "Ġm ay|Ġp l|Ġon e|f ore|Ġ qu|ot her|u m|T H|K ING|Ġsh ould|Ġd id|Ġb r|Ġ R|Ġu n|Ġ r|Ġ B|ea k|ou nd|Ġm ake|A s|i ce|Ġ E|Ġmu st|u e|Ġh o|" +
  "Ġm ad|Ġup on|g ain|ver y|u n|an ce|Ġ out|Ġwe re|I A|I US|Ġ O|Ġs a|Ġha d|p e|Ġd is|it y|Ġto o|U C|Ġp ro|Ġh on|Ġ F|en ce|I f|Ġwhe n|p t|" +
  "Ġw hich|im e|AN T|Ġhe art|Ġsu ch|Ġt ru|Ġk ing|Ġp o|Ġ en|i es|Ġsp eak|Ġ D|W hy|Ġ T|Ġha nd|or n|n ess|Ġy et|Ġe x|is t|is e|i ck|I R|" +
  "Ġa gain|a ve|Ġa l|Ġf ri|Th is|Ġs ome|Ġg ra|Ġth ink|i re|Ġw ho|A M|o nd|Ġof f|I n|w n|Ġf ather|f f|as s|o se|Ġthe se|Ġh ow|ou gh|ur n|" +
  "W ith|A T|t her|W e|Ġe y|a ck|N o|e et|Ġg ive|t he|c i|H ow|d e|Ġt ell|a ge|Ġg reat|Ġt ake|ast er|L A|Ġm ine|Ġf o|E T|Ġ J|o y|f ul|w ay|" +
  "Ġmu ch|Ġm ar|ad y|Ġa b|ow n|Ġfri end|t o|at ion|Ġhe a|Ġhe ar|Ġm ost|in ce|' t|Ġc ha|S o|Ġt ime|a g|Ġwhe re|O f|Ġd es|ent le|Ġm en|" +
  "Ġne ver|it her|Ġd ay|u st|B e|I L|W ho|Ġw ord|Ġbe t|Ġl ook|Ġb re|AR D|ig n|Ġ ri|res s|Ġde ath|C A|a se|The re|ES S|u ll|Ġf l|Ġl e|Ġ ro|" +
  "Ġl ea|re e|n ot|I t|Ġe ar|F F|ing s|Ġar t|Ġt w|Ġli fe|Ġhon our|l i|Ġbl ood|p er|E D|W hich|Ġp art|Th ou|Ġw r|i gh|Ġ W|Ġp le|ou l|T I|" +
  "Ġg entle|b er|i o|o s|! --|t is|Ġfa ir|m ent|F IR|FIR ST|Whe re|Ġan y|Ġt r|N ow|t le|Ġcom m|ou nt"
).split("|").map((pair) => pair.split(" "));
